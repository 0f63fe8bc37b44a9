#include "docker_arguments.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <set>

#include "resources.hpp"

namespace executor {
namespace {

// Mesos' floors, in its src/slave/containerizer/mesos/isolators/cgroups/constants.hpp.
constexpr int64_t kSharesPerCpu = 1024;
constexpr int64_t kLeastShares = 2;
constexpr int64_t kCfsPeriodMicroseconds = 100000;
constexpr int64_t kLeastQuotaMicroseconds = 1000;
constexpr uint64_t kLeastMemory = uint64_t{32} << 20;

bool isAbsolute(const std::string& path) { return !path.empty() && path.front() == '/'; }

std::string join(const std::string& folder, const std::string& path) {
  return folder.empty() || folder.back() == '/' ? folder + path : folder + "/" + path;
}

class Builder {
 public:
  Builder(const Json& task, const Secrets& secrets, const CreateContext& context)
      : task_(task),
        context_(context),
        command_(member(task, "command", "task")),
        container_(member(task, "container", "task")),
        docker_(member(container_, "docker", "container")),
        resources_(resourcesOf(task)),
        secrets_(secrets) {}

  CreateArguments build() {
    refuseWhatIsNotForDocker();
    if (boolOr(docker_, "privileged", false, "container.docker")) add("--privileged");
    addLimits();
    addEnvironment();
    addVolumes();
    addNetwork();
    addDns();
    addHostname();
    addPorts();
    addRlimits();
    addLinuxInfo();
    if (has(container_, "tty_info")) add("--tty");
    const bool shell = boolOr(command_, "shell", true, "command");
    if (shell) add("--entrypoint", "/bin/sh");
    add("--name", context_.containerName);
    addLabels();
    for (const Json& parameter : parameters()) {
      add("--" + textOr(parameter, "key", "", "parameters") + "=" + textOr(parameter, "value", "", "parameters"));
    }
    addImageAndCommand(shell);
    return std::move(result_);
  }

 private:
  void add(std::string argument) { result_.arguments.push_back(std::move(argument)); }
  void add(const char* option, std::string value) {
    result_.arguments.emplace_back(option);
    result_.arguments.push_back(std::move(value));
  }
  void note(std::string sentence) { result_.notes.push_back(std::move(sentence)); }

  const Json& parameters() const { return arrayOf(docker_, "parameters", "container.docker"); }

  bool hasParameter(const std::set<std::string>& keys) const {
    return std::any_of(parameters().begin(), parameters().end(), [&](const Json& parameter) {
      return keys.count(textOr(parameter, "key", "", "parameters")) > 0;
    });
  }

  void refuseWhatIsNotForDocker() {
    const std::string type = textOr(container_, "type", "DOCKER", "container");
    if (docker_.is_null() || type != "DOCKER") {
      throw InvalidField("container.docker is missing: this executor runs Docker containers only");
    }
    if (has(container_, "mesos")) throw InvalidField("container.mesos is for the Mesos containerizer only");
    if (resources_.gpus.value_or(0) > 0 && !hasParameter({"gpus", "device", "runtime"})) {
      throw InvalidField(
          "resource 'gpus' is not handed to Docker by itself: add a parameter such as gpus=2 or device=/dev/nvidia0");
    }
    if (hasParameter({"name"})) {
      throw InvalidField("container.docker.parameters: 'name' is not free: Mesos finds its containers by their names");
    }
    const std::string user = textOr(command_, "user", "", "command");
    if (!user.empty() && !hasParameter({"user"})) {
      note("command.user is '" + user +
           "': it owns the sandbox; the container runs as its image's user (parameter user=... changes that)");
    }
  }

  void addLimits() {
    const Limit cpuLimit = limitOf(task_, "cpus");
    const Limit memoryLimit = limitOf(task_, "mem");
    if (resources_.cpus) {
      add("--cpu-shares", std::to_string(std::max(*resources_.cpus * kSharesPerCpu / 1000, kLeastShares)));
    }
    std::optional<Milli> quotaOf;
    if (cpuLimit.set) {
      if (!cpuLimit.infinite) quotaOf = cpuLimit.value;
    } else if (context_.cgroupsEnableCfs) {
      quotaOf = resources_.cpus;
    }
    if (quotaOf) {
      add("--cpu-quota", std::to_string(std::max(*quotaOf * kCfsPeriodMicroseconds / 1000, kLeastQuotaMicroseconds)));
    }
    const auto bytes = [](Milli mebibytes) { return std::max(bytesOf(mebibytes), kLeastMemory); };
    if (memoryLimit.set && resources_.memory) {
      add("--memory-reservation", std::to_string(bytes(*resources_.memory)));
    }
    if (memoryLimit.set ? !memoryLimit.infinite : resources_.memory.has_value()) {
      add("--memory", std::to_string(bytes(memoryLimit.set ? memoryLimit.value : *resources_.memory)));
    }
    const bool mayBurst = memoryLimit.set && resources_.memory &&
                          (memoryLimit.infinite || *resources_.memory < memoryLimit.value);
    if (mayBurst && context_.totalMemory > 0) {
      // The more of the host a task was promised, the later the kernel takes it.
      const uint64_t promised = std::min<uint64_t>(1000 * bytesOf(*resources_.memory) / context_.totalMemory, 1000);
      add("--oom-score-adj", std::to_string(1000 - promised));
    }
  }

  void addEnvironment() {
    std::map<std::string, std::string> variables = context_.taskEnvironment;
    const Json& environment = member(command_, "environment", "command");
    for (const Json& variable : arrayOf(environment, "variables", "command.environment")) {
      const std::string name = textOr(variable, "name", "", "command.environment");
      if (context_.taskEnvironment.count(name) == 0 && secrets_.count(name) == 0) {
        variables[name] = textOr(variable, "value", "", "command.environment");
      }
    }
    variables["MESOS_SANDBOX"] = context_.mappedDirectory;
    variables["MESOS_CONTAINER_NAME"] = context_.containerName;
    if (!resources_.allocationRole.empty()) variables["MESOS_ALLOCATION_ROLE"] = resources_.allocationRole;
    for (const auto& [name, value] : variables) add("-e", name + "=" + value);
    for (const auto& [name, value] : secrets_) {
      if (variables.count(name) > 0) continue;
      add("-e", name);
      result_.environment[name] = value;
    }
  }

  void setVolumeDriver(const std::string& driver) {
    if (!volumeDriver_.empty() && volumeDriver_ != driver) {
      throw InvalidField("container.volumes: drivers '" + volumeDriver_ + "' and '" + driver +
                         "': a task can have one volume driver only");
    }
    volumeDriver_ = driver;
  }

  // -v separates its fields with colons and has no way to quote one.
  static void refuseColon(const std::string& path, const std::string& where) {
    if (path.find(':') != std::string::npos) {
      throw InvalidField(where + " '" + path + "' has a colon, which docker can't take in a volume");
    }
  }

  void addVolumes() {
    const std::string legacyDriver = textOr(docker_, "volume_driver", "", "container.docker");
    if (!legacyDriver.empty()) setVolumeDriver(legacyDriver);
    for (const Json& volume : arrayOf(container_, "volumes", "container")) addVolume(volume, !legacyDriver.empty());
    add("-v", context_.sandboxDirectory + ":" + context_.mappedDirectory);
    if (!volumeDriver_.empty()) add("--volume-driver=" + volumeDriver_);
  }

  void addVolume(const Json& volume, bool hasDriver) {
    const std::string inContainer = textOr(volume, "container_path", "", "volume");
    const std::string target = isAbsolute(inContainer) ? inContainer : join(context_.mappedDirectory, inContainer);
    refuseColon(inContainer, "volume.container_path");
    const std::string mode = textOr(volume, "mode", "", "volume");
    if (mode != "RW" && mode != "RO") throw InvalidField("volume.mode is '" + mode + "': must be RW or RO");
    const std::string suffix = ":" + target + (mode == "RO" ? ":ro" : ":rw");
    if (has(volume, "image")) throw InvalidField("volume.image is for the Mesos containerizer only");

    if (has(volume, "host_path")) {
      const std::string hostPath = textOr(volume, "host_path", "", "volume");
      refuseColon(hostPath, "volume.host_path");
      if (!isAbsolute(hostPath) && !isAbsolute(inContainer)) {
        throw InvalidField("volume: both host_path '" + hostPath + "' and container_path '" + inContainer +
                           "' are relative: one of them must be absolute");
      }
      const bool inSandbox = !isAbsolute(hostPath) && !hasDriver;
      add("-v", (inSandbox ? join(context_.sandboxDirectory, hostPath) : hostPath) + suffix);
      return;
    }

    const Json& source = member(volume, "source", "volume");
    const std::string type = textOr(source, "type", "", "volume.source");
    if (type == "DOCKER_VOLUME") {
      addDockerVolume(member(source, "docker_volume", "volume.source"), target, mode, suffix);
    } else if (type == "HOST_PATH") {
      addHostPath(member(source, "host_path", "volume.source"), suffix);
    } else if (type == "SANDBOX_PATH") {
      const Json& sandbox = member(source, "sandbox_path", "volume.source");
      const std::string owner = textOr(sandbox, "type", "SELF", "volume.source.sandbox_path");
      if (owner != "SELF") {
        throw InvalidField("volume.source.sandbox_path.type is '" + owner + "': a Docker task has no parent, use SELF");
      }
      const std::string path = textOr(sandbox, "path", "", "volume.source.sandbox_path");
      refuseColon(path, "volume.source.sandbox_path.path");
      add("-v", join(context_.sandboxDirectory, path) + suffix);
    } else if (source.is_null()) {
      throw InvalidField("volume for '" + inContainer + "' has neither host_path nor source");
    } else {
      throw InvalidField("volume.source.type is '" + type +
                         "': Docker tasks take DOCKER_VOLUME, HOST_PATH and SANDBOX_PATH");
    }
  }

  void addDockerVolume(const Json& volume, const std::string& target, const std::string& mode,
                       const std::string& suffix) {
    const std::string name = textOr(volume, "name", "", "docker_volume");
    const std::string driver = textOr(volume, "driver", "", "docker_volume");
    refuseColon(name, "docker_volume.name");
    const Json& options =
        arrayOf(member(volume, "driver_options", "docker_volume"), "parameter", "docker_volume.driver_options");
    if (options.empty()) {
      if (!driver.empty()) setVolumeDriver(driver);
      add("-v", name + suffix);
      return;
    }
    // Only --mount can pass a driver its options. Its value is one record of CSV: quote every field.
    const auto field = [](std::string text) {
      for (size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2) text.insert(at, 1, '"');
      return "\"" + text + "\"";
    };
    std::string mount = "type=volume," + field("source=" + name) + "," + field("target=" + target);
    if (mode == "RO") mount += ",readonly";
    if (!driver.empty()) mount += "," + field("volume-driver=" + driver);
    for (const Json& option : options) {
      mount += "," + field("volume-opt=" + textOr(option, "key", "", "driver_options") + "=" +
                           textOr(option, "value", "", "driver_options"));
    }
    add("--mount", mount);
  }

  void addHostPath(const Json& hostPath, const std::string& suffix) {
    const std::string path = textOr(hostPath, "path", "", "volume.source.host_path");
    refuseColon(path, "volume.source.host_path.path");
    if (!isAbsolute(path)) throw InvalidField("volume.source.host_path.path '" + path + "' must be absolute");
    const std::string propagation =
        textOr(member(hostPath, "mount_propagation", "host_path"), "mode", "", "mount_propagation");
    if (propagation.empty() || propagation == "UNKNOWN") {
      add("-v", path + suffix);
    } else if (propagation == "HOST_TO_CONTAINER") {
      add("-v", path + suffix + ",rslave");
    } else if (propagation == "BIDIRECTIONAL") {
      add("-v", path + suffix + ",rshared");
    } else {
      throw InvalidField("mount_propagation.mode is '" + propagation +
                         "': must be HOST_TO_CONTAINER or BIDIRECTIONAL");
    }
  }

  void addNetwork() {
    const Json& infos = arrayOf(container_, "network_infos", "container");
    networkMode_ = textOr(docker_, "network", "HOST", "container.docker");
    if (networkMode_ == "HOST") {
      network_ = "host";
    } else if (networkMode_ == "BRIDGE") {
      network_ = "bridge";
    } else if (networkMode_ == "NONE") {
      network_ = "none";
    } else if (networkMode_ == "USER") {
      if (infos.size() != 1) {
        throw InvalidField("container.network_infos has " + std::to_string(infos.size()) +
                           " entries: network USER needs exactly one");
      }
      network_ = textOr(infos.front(), "name", "", "network_infos");
      if (network_.empty()) throw InvalidField("network_infos.name is missing: network USER needs it");
    } else {
      throw InvalidField("container.docker.network is '" + networkMode_ + "': must be HOST, BRIDGE, NONE or USER");
    }
    add("--net", network_);
    for (const Json& info : infos) addNetworkInfo(info);
  }

  void addNetworkInfo(const Json& info) {
    if (!arrayOf(info, "port_mappings", "network_infos").empty()) {
      throw InvalidField("network_infos.port_mappings is for the Mesos containerizer: use docker.port_mappings");
    }
    for (const Json& address : arrayOf(info, "ip_addresses", "network_infos")) {
      const std::string ip = textOr(address, "ip_address", "", "ip_addresses");
      if (ip.empty()) continue;
      if (networkMode_ != "USER") {
        throw InvalidField("network_infos.ip_addresses: address '" + ip + "' can be asked for with network USER only");
      }
      const bool v6 = ip.find(':') != std::string::npos;
      add(v6 ? "--ip6" : "--ip", ip);
    }
  }

  void addDns() {
    if (context_.defaultContainerDns.is_null() ||
        hasParameter({"dns", "dns-search", "dns-opt", "dns-option"})) {
      return;
    }
    const Json* chosen = nullptr;
    bool byName = false;
    for (const Json& entry : arrayOf(context_.defaultContainerDns, "docker", "default_container_dns")) {
      const std::string mode = textOr(entry, "network_mode", "", "default_container_dns");
      const std::string name = textOr(entry, "network_name", "", "default_container_dns");
      if (mode != networkMode_) continue;
      if (mode == "BRIDGE" || (mode == "USER" && name.empty() && !byName)) chosen = &entry;
      if (mode == "USER" && name == network_) {
        chosen = &entry;
        byName = true;
      }
    }
    if (chosen == nullptr) return;
    const Json& dns = member(*chosen, "dns", "default_container_dns");
    const auto addEach = [&](const char* key, const char* option) {
      for (const Json& value : arrayOf(dns, key, "default_container_dns.dns")) {
        if (!value.is_string()) throw InvalidField(std::string("default_container_dns.dns.") + key + " must be texts");
        add(option, value.get<std::string>());
      }
    };
    addEach("nameservers", "--dns");
    addEach("search", "--dns-search");
    addEach("options", "--dns-opt");
  }

  void addHostname() {
    const std::string hostname = textOr(container_, "hostname", "", "container");
    if (hostname.empty()) return;
    if (network_ == "host") {
      throw InvalidField("container.hostname is '" + hostname + "': not possible with network HOST");
    }
    add("--hostname", hostname);
  }

  void addPorts() {
    const Json& mappings = arrayOf(docker_, "port_mappings", "container.docker");
    if (mappings.empty()) return;
    if (network_ == "host" || network_ == "none") {
      throw InvalidField("container.docker.port_mappings: only with network BRIDGE or USER, not " + networkMode_);
    }
    for (const Json& mapping : mappings) {
      const int64_t hostPort = integerOr(mapping, "host_port", 0, "port_mappings");
      const int64_t containerPort = integerOr(mapping, "container_port", 0, "port_mappings");
      if (!resources_.hasPort(static_cast<uint64_t>(hostPort))) {
        throw InvalidField("container.docker.port_mappings: host_port " + std::to_string(hostPort) +
                           " is not among the task's ports");
      }
      std::string protocol = textOr(mapping, "protocol", "", "port_mappings");
      std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                     [](unsigned char letter) { return std::tolower(letter); });
      add("-p", std::to_string(hostPort) + ":" + std::to_string(containerPort) +
                    (protocol.empty() ? "" : "/" + protocol));
    }
  }

  void addRlimits() {
    for (const Json& limit : arrayOf(member(container_, "rlimit_info", "container"), "rlimits", "rlimit_info")) {
      const std::string type = textOr(limit, "type", "", "rlimits");
      static const std::string prefix = "RLMT_";
      if (type.compare(0, prefix.size(), prefix) != 0 || type == "RLMT_AS") {
        throw InvalidField("rlimit_info: docker has no limit for '" + type + "'");
      }
      std::string name = type.substr(prefix.size());
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char letter) { return std::tolower(letter); });
      if (has(limit, "soft") != has(limit, "hard")) {
        throw InvalidField("rlimit_info: " + type + " must have both soft and hard, or neither for no limit");
      }
      add("--ulimit", name + "=" + std::to_string(integerOr(limit, "soft", -1, "rlimits")) + ":" +
                          std::to_string(integerOr(limit, "hard", -1, "rlimits")));
    }
  }

  void addLinuxInfo() {
    const Json& linuxInfo = member(container_, "linux_info", "container");
    for (const char* field : {"capability_info", "bounding_capabilities", "effective_capabilities"}) {
      if (has(linuxInfo, field)) {
        throw InvalidField(std::string("linux_info.") + field +
                           " is for the Mesos containerizer: use the parameters cap-add and cap-drop");
      }
    }
    if (boolOr(linuxInfo, "share_pid_namespace", false, "linux_info")) add("--pid=host");
    const std::string ipc = textOr(linuxInfo, "ipc_mode", "", "linux_info");
    if (ipc == "PRIVATE") add("--ipc=private");
    if (ipc == "SHARE_PARENT") add("--ipc=host");
    const int64_t sharedMemory = integerOr(linuxInfo, "shm_size", 0, "linux_info");
    if (sharedMemory > 0) add("--shm-size=" + std::to_string(sharedMemory) + "m");
    if (!boolOr(linuxInfo, "share_cgroups", true, "linux_info")) {
      throw InvalidField("linux_info.share_cgroups is false: a task has no parent's cgroups to leave");
    }
    const Json& seccomp = member(linuxInfo, "seccomp", "linux_info");
    if (has(seccomp, "profile_name")) {
      throw InvalidField("linux_info.seccomp.profile_name is for the Mesos containerizer: "
                         "use the parameter security-opt=seccomp=FILE");
    }
    if (boolOr(seccomp, "unconfined", false, "linux_info.seccomp")) add("--security-opt=seccomp=unconfined");
  }

  void addLabels() {
    const auto label = [this](const std::string& key, const std::string& value) {
      if (!value.empty()) add("--label", key + "=" + value);
    };
    label("mesos.task_id", idOf(task_, "task_id", "task"));
    label("mesos.framework_id", context_.frameworkId);
    label("mesos.executor_id", context_.executorId);
    label("mesos.agent_id", idOf(task_, "agent_id", "task"));
    for (const Json& entry : arrayOf(member(task_, "labels", "task"), "labels", "task.labels")) {
      add("--label", "mesos.label." + textOr(entry, "key", "", "task.labels") + "=" +
                         textOr(entry, "value", "", "task.labels"));
    }
  }

  void addImageAndCommand(bool shell) {
    const std::string image = textOr(docker_, "image", "", "container.docker");
    if (image.empty()) throw InvalidField("container.docker.image is empty");
    if (image.front() == '-') throw InvalidField("container.docker.image '" + image + "' is not the name of an image");
    add(image);
    const bool hasValue = has(command_, "value");
    const std::string value = textOr(command_, "value", "", "command");
    const Json& arguments = arrayOf(command_, "arguments", "command");
    if (shell) {
      if (!hasValue) throw InvalidField("command.shell is true but command.value is missing");
      add("-c");
      add(value);
      if (!arguments.empty()) note("command.arguments has no effect while command.shell is true");
      return;
    }
    if (hasValue) add(value);
    for (const Json& argument : arguments) {
      if (!argument.is_string()) throw InvalidField("command.arguments must be texts");
      add(argument.get<std::string>());
    }
  }

  const Json& task_;
  const CreateContext& context_;
  const Json& command_;
  const Json& container_;
  const Json& docker_;
  const Resources resources_;
  const Secrets& secrets_;
  std::string networkMode_;
  std::string network_;
  std::string volumeDriver_;
  CreateArguments result_;
};

}  // namespace

CreateArguments createArguments(const Json& task, const Secrets& secrets, const CreateContext& context) {
  return Builder(task, secrets, context).build();
}

}  // namespace executor
