#include "launch_info.hpp"

namespace executor {
namespace {

void addVariables(const Json& environment, const std::string& where, Variables& into) {
  for (const Json& variable : arrayOf(environment, "variables", where)) {
    if (textOr(variable, "type", "VALUE", where) == "SECRET") continue;
    into[textOr(variable, "name", "", where)] = textOr(variable, "value", "", where);
  }
}

Json environmentOf(const Variables& variables) {
  Json list = Json::array();
  for (const auto& [name, value] : variables) list.push_back({{"name", name}, {"type", "VALUE"}, {"value", value}});
  return {{"variables", std::move(list)}};
}

// Who the task is, and what it may do.
void addIdentity(const CommandFlags& flags, Json& info) {
  if (!flags.user.empty()) info["user"] = flags.user;
  if (!flags.effectiveCapabilities.is_null()) info["effective_capabilities"] = flags.effectiveCapabilities;
  if (!flags.boundingCapabilities.is_null()) info["bounding_capabilities"] = flags.boundingCapabilities;
  if (!flags.supplementaryGroups.empty()) info["supplementary_groups"] = flags.supplementaryGroups;
}

}  // namespace

Variables taskVariables(const Json& task, const Secrets& secrets, const CommandFlags& flags, const Variables& own) {
  Variables variables = own;
  addVariables(flags.taskEnvironment, "task_environment", variables);
  const Json& command = flags.taskCommand.is_null() ? member(task, "command") : flags.taskCommand;
  addVariables(member(command, "environment"), "command.environment", variables);
  for (const auto& [name, value] : secrets) variables[name] = value;
  // All resources of a task are of one role.
  for (const Json& resource : arrayOf(task, "resources", "task")) {
    variables["MESOS_ALLOCATION_ROLE"] = textOr(member(resource, "allocation_info"), "role", "*", "allocation_info");
    break;
  }
  return variables;
}

Json launchInfo(const Json& task, const CommandFlags& flags, const Variables& variables) {
  Json command = flags.taskCommand.is_null() ? member(task, "command") : flags.taskCommand;
  if (command.is_null()) throw InvalidField("command is missing");
  if (!has(command, "value")) {
    throw InvalidField(boolOr(command, "shell", true, "command") ? "command.value is missing: the shell's command"
                                                                : "command.value is missing: the program's path");
  }
  // Fetched already; and the variables are complete without these.
  command.erase("uris");
  command.erase("environment");

  Json info;
  // What the executor must not do itself, because only the task is to see it.
  for (const char* part : {"mounts", "file_operations", "pre_exec_commands", "clone_namespaces"}) {
    if (has(flags.taskLaunchInfo, part)) info[part] = flags.taskLaunchInfo[part];
  }
  info["command"] = std::move(command);
  info["environment"] = environmentOf(variables);
  addIdentity(flags, info);
  if (!flags.rootfs.empty()) {
    info["rootfs"] = flags.rootfs;
    info["working_directory"] = flags.workingDirectory.empty() ? flags.sandboxDirectory : flags.workingDirectory;
  }
  return info;
}

Json besideTaskInfo(const std::string& program, const std::vector<std::string>& arguments, const CommandFlags& flags,
                    const Variables& variables) {
  Json info;
  info["command"] = {{"shell", false}, {"value", program}, {"arguments", arguments}};
  info["environment"] = environmentOf(variables);
  info["working_directory"] = flags.workingDirectory.empty() ? flags.sandboxDirectory : flags.workingDirectory;
  addIdentity(flags, info);
  return info;
}

}  // namespace executor
