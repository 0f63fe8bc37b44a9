#include "docker_flags.hpp"

#include <stdexcept>

namespace executor {
namespace {

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

}  // namespace

std::vector<Flag> dockerFlags(DockerFlags& into) {
  using S = const std::string&;
  std::vector<Flag> flags{
      {"container", false, true, "Name of the container to run.", [&into](S v) { into.container = v; }},
      {"docker", false, true, "The docker client's program.", [&into](S v) { into.docker = v; }},
      {"docker_socket", false, true, "The Docker Engine's unix socket.",
       [&into](S v) { into.dockerSocket = socketPath(v); }},
      {"sandbox_directory", false, true, "The task's sandbox on the host.",
       [&into](S v) { into.sandboxDirectory = absolutePath(v); }},
      {"mapped_directory", false, true, "Where the sandbox is mounted in the container.",
       [&into](S v) { into.mappedDirectory = absolutePath(v); }},
      {"launcher_dir", false, true, "Folder of Mesos' programs, with mesos-fetcher.",
       [&into](S v) { into.launcherDirectory = absolutePath(v); }},
      {"stop_timeout", false, false,
       "Grace period of a kill, when longer than the executor's shutdown grace period and the task has no kill policy.",
       [&into](S v) { into.stopTimeout = parseDuration(v); }},
      {"task_environment", false, false, "JSON object of environment variables for the task.",
       [&into](S v) { into.taskEnvironment = parseEnvironment(v); }},
      {"default_container_dns", false, false, "JSON of Mesos' ContainerDNSInfo: the DNS of containers that set none.",
       [&into](S v) { into.defaultContainerDns = parseJson(v, "the value"); }},
      {"cgroups_enable_cfs", true, false, "Limit tasks to the cpus they asked for (CFS quota).",
       [&into](S v) { into.cgroupsEnableCfs = parseSwitch(v); }},
  };
  for (Flag& flag : logFlags(into.log)) flags.push_back(std::move(flag));
  return flags;
}

}  // namespace executor
