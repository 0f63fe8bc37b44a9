#include "flags.hpp"

#include <functional>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace executor {
namespace {

struct Flag {
  const char* name;
  bool isSwitch;  // --name and --no-name are allowed, too
  bool required;
  const char* help;
  std::function<void(Flags&, const std::string&)> set;
};

bool parseSwitch(const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  throw std::invalid_argument("'" + value + "' must be true or false");
}

std::string absolutePath(const std::string& value) {
  if (value.empty() || value.front() != '/') throw std::invalid_argument("'" + value + "' must be an absolute path");
  return value;
}

// What the engine's address is to docker -H: a path, with or without its scheme.
std::string socketPath(const std::string& value) {
  static const std::string scheme = "unix://";
  return absolutePath(value.compare(0, scheme.size(), scheme) == 0 ? value.substr(scheme.size()) : value);
}

std::map<std::string, std::string> parseEnvironment(const std::string& value) {
  const Json json = parseJson(value, "the value");
  if (!json.is_object()) throw std::invalid_argument("must be a JSON object of texts");
  std::map<std::string, std::string> variables;
  for (const auto& [name, text] : json.items()) {
    if (!text.is_string()) throw std::invalid_argument("the value of '" + name + "' must be a text");
    variables[name] = text.get<std::string>();
  }
  return variables;
}

LogLevel parseLevel(const std::string& value) {
  if (value == "INFO") return LogLevel::Info;
  if (value == "WARNING") return LogLevel::Warning;
  if (value == "ERROR") return LogLevel::Error;
  throw std::invalid_argument("'" + value + "' must be INFO, WARNING or ERROR");
}

const std::vector<Flag>& allFlags() {
  using F = Flags;
  using S = const std::string&;
  static const auto noEffect = [](F&, S) {};
  static const std::vector<Flag> flags{
      {"container", false, true, "Name of the container to run.", [](F& f, S v) { f.container = v; }},
      {"docker", false, true, "The docker client's program.", [](F& f, S v) { f.docker = v; }},
      {"docker_socket", false, true, "The Docker Engine's unix socket.",
       [](F& f, S v) { f.dockerSocket = socketPath(v); }},
      {"sandbox_directory", false, true, "The task's sandbox on the host.",
       [](F& f, S v) { f.sandboxDirectory = absolutePath(v); }},
      {"mapped_directory", false, true, "Where the sandbox is mounted in the container.",
       [](F& f, S v) { f.mappedDirectory = absolutePath(v); }},
      {"launcher_dir", false, true, "Folder of Mesos' programs. Accepted for Mesos' sake: none of them is needed.",
       [](F& f, S v) { f.launcherDirectory = v; }},
      {"stop_timeout", false, false,
       "Grace period of a kill, when longer than the executor's shutdown grace period and the task has no kill policy.",
       [](F& f, S v) { f.stopTimeout = parseDuration(v); }},
      {"task_environment", false, false, "JSON object of environment variables for the task.",
       [](F& f, S v) { f.taskEnvironment = parseEnvironment(v); }},
      {"default_container_dns", false, false, "JSON of Mesos' ContainerDNSInfo: the DNS of containers that set none.",
       [](F& f, S v) { f.defaultContainerDns = parseJson(v, "the value"); }},
      {"cgroups_enable_cfs", true, false, "Limit tasks to the cpus they asked for (CFS quota).",
       [](F& f, S v) { f.cgroupsEnableCfs = parseSwitch(v); }},
      {"quiet", true, false, "Log nothing to stderr.", [](F& f, S v) { f.log.quiet = parseSwitch(v); }},
      {"logging_level", false, false, "Log from this level on: INFO, WARNING or ERROR.",
       [](F& f, S v) { f.log.level = parseLevel(v); }},
      {"log_dir", false, false, "Log to mesos-docker-executor.log in this folder as well.",
       [](F& f, S v) { f.log.directory = absolutePath(v); }},
      {"logbufsecs", false, false, "No effect: nothing is buffered.", noEffect},
      {"initialize_driver_logging", true, false, "No effect: there is no driver.", noEffect},
      {"external_log_file", false, false, "No effect here.", noEffect},
      {"help", true, false, "Print this and exit.", [](F& f, S v) { f.help = parseSwitch(v); }},
      {"version", true, false, "Print the version and exit.", [](F& f, S v) { f.version = parseSwitch(v); }},
  };
  return flags;
}

const Flag* findFlag(const std::string& name) {
  for (const Flag& flag : allFlags()) {
    if (name == flag.name) return &flag;
  }
  return nullptr;
}

void apply(const std::string& argument, Flags& flags, std::map<std::string, bool>& seen) {
  if (argument.compare(0, 2, "--") != 0) throw std::invalid_argument("unexpected argument '" + argument + "'");
  const size_t equals = argument.find('=');
  std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
  std::optional<std::string> value;
  if (equals != std::string::npos) value = argument.substr(equals + 1);
  const Flag* flag = findFlag(name);
  if (flag == nullptr && !value && name.compare(0, 3, "no-") == 0) {
    flag = findFlag(name.substr(3));
    if (flag != nullptr && flag->isSwitch) value = "false";
  }
  if (flag == nullptr) throw std::invalid_argument("unknown flag '--" + name + "'");
  if (!value && flag->isSwitch) value = "true";
  if (!value) throw std::invalid_argument("flag '--" + name + "' needs a value");
  try {
    flag->set(flags, *value);
  } catch (const std::exception& error) {
    throw std::invalid_argument("flag '--" + name + "': " + error.what());
  }
  seen[flag->name] = true;
}

}  // namespace

Flags parseFlags(int argc, char** argv) {
  Flags flags;
  std::map<std::string, bool> seen;
  for (int i = 1; i < argc; ++i) apply(argv[i], flags, seen);
  if (flags.help || flags.version) return flags;
  for (const Flag& flag : allFlags()) {
    if (flag.required && seen.count(flag.name) == 0) {
      throw std::invalid_argument(std::string("missing required flag '--") + flag.name + "'");
    }
  }
  return flags;
}

std::string usage(const std::string& program) {
  std::ostringstream text;
  text << "Usage: " << program << " [options]\n\n"
       << "Runs one Docker container as a Mesos task. Started by a Mesos agent, which also sets MESOS_* variables.\n\n";
  for (const Flag& flag : allFlags()) {
    std::string left = std::string("  --") + (flag.isSwitch ? "[no-]" : "") + flag.name + (flag.isSwitch ? "" : "=VALUE");
    left.resize(std::max<size_t>(left.size() + 2, 38), ' ');
    text << left << flag.help << (flag.required ? " Required." : "") << "\n";
  }
  return text.str();
}

}  // namespace executor
