#include "command_flags.hpp"

#include <sstream>
#include <stdexcept>

namespace executor {
namespace {

Json parseObject(const std::string& value) {
  Json object = parseJson(value, "the value");
  if (!object.is_object()) throw std::invalid_argument("must be a JSON object");
  return object;
}

std::vector<int64_t> parseGroups(const std::string& value) {
  std::vector<int64_t> groups;
  std::istringstream list(value);
  for (std::string group; std::getline(list, group, ',');) {
    if (group.empty() || group.size() > 10 || group.find_first_not_of("0123456789") != std::string::npos) {
      throw std::invalid_argument("'" + group + "' must be the number of a group");
    }
    groups.push_back(std::stoll(group));
  }
  return groups;
}

}  // namespace

std::vector<Flag> commandFlags(CommandFlags& into) {
  using S = const std::string&;
  std::vector<Flag> flags{
      {"launcher_dir", false, true, "Folder of Mesos' programs, with mesos-containerizer.",
       [&into](S v) { into.launcherDirectory = absolutePath(v); }},
      {"rootfs", false, false, "The task's root file system, when it has one of its own.",
       [&into](S v) { into.rootfs = absolutePath(v); }},
      {"sandbox_directory", false, false, "Where the sandbox is in the task's root file system.",
       [&into](S v) { into.sandboxDirectory = absolutePath(v); }},
      {"working_directory", false, false, "The task's working directory in its root file system.",
       [&into](S v) { into.workingDirectory = absolutePath(v); }},
      {"user", false, false, "Whom the task runs as; without it, as the executor.", [&into](S v) { into.user = v; }},
      {"task_command", false, false, "JSON of Mesos' CommandInfo: runs instead of the task's own command.",
       [&into](S v) { into.taskCommand = parseObject(v); }},
      {"task_environment", false, false, "JSON of Mesos' Environment: variables for the task.",
       [&into](S v) { into.taskEnvironment = parseObject(v); }},
      {"effective_capabilities", false, false, "JSON of Mesos' CapabilityInfo: what the task may do.",
       [&into](S v) { into.effectiveCapabilities = parseObject(v); }},
      {"bounding_capabilities", false, false, "JSON of Mesos' CapabilityInfo: what the task may ever do.",
       [&into](S v) { into.boundingCapabilities = parseObject(v); }},
      {"task_launch_info", false, false, "JSON of Mesos' ContainerLaunchInfo: mounts and preparations for the task.",
       [&into](S v) { into.taskLaunchInfo = parseObject(v); }},
      {"tty_slave_path", false, false, "The terminal of the task, which is on stdin, stdout and stderr.",
       [&into](S) { into.tty = true; }},
      {"task_supplementary_groups", false, false, "Numbers of further groups of the task, with commas.",
       [&into](S v) { into.supplementaryGroups = parseGroups(v); }},
  };
  for (Flag& flag : logFlags(into.log)) flags.push_back(std::move(flag));
  return flags;
}

}  // namespace executor
