#include "flag_policy.hpp"

#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>

#include "diagnostics.hpp"
#include "text.hpp"

void refuse(const std::string& flag, const std::string& value, const std::string& reason)
{
  fail("--" + flag + "=" + value + " cannot be honoured: " + reason);
}

namespace {

// Refuses those of `names` that the operator gave another value than the default.
template <size_t n>
void refuseChanged(const FlagValues& flags, const char* const (&names)[n], const std::string& reason)
{
  for (const char* name : names)
    if (flags.isChanged(name)) refuse(name, flags.text(name), reason);
}

const char* const STORAGE_PLUGINS[] = {"csi_plugin_config_dir", "disk_profile_adaptor", "resource_provider_config_dir"};

const char* const EXECUTOR_IN_CONTAINER[] = {"docker_mesos_image"};

// Read by Mesos' own containers alone: their launcher, isolators, image stores and input/output server.
const char* const MESOS_CONTAINERS[] = {
    "allowed_devices",
    "appc_simple_discovery_uri_prefix",
    "appc_store_dir",
    "bounding_capabilities",
    "cgroups_cpu_enable_pids_and_tids_count",
    "cgroups_destroy_timeout",
    "cgroups_limit_swap",
    "cgroups_net_cls_primary_handle",
    "cgroups_net_cls_secondary_handles",
    "container_disk_watch_interval",
    "default_container_info",
    "default_container_shm_size",
    "disallow_sharing_agent_ipc_namespace",
    "disallow_sharing_agent_pid_namespace",
    "docker_ignore_runtime",
    "docker_registry",
    "docker_store_dir",
    "docker_volume_checkpoint_dir",
    "docker_volume_chown",
    "effective_capabilities",
    "enforce_container_disk_quota",
    "gc_non_executor_container_sandboxes",
    "host_path_volume_force_creation",
    "http_command_executor",
    "http_heartbeat_interval",
    "image_gc_config",
    "image_providers",
    "image_provisioner_backend",
    "network_cni_config_dir",
    "network_cni_metrics",
    "network_cni_plugins_dir",
    "network_cni_root_dir_persist",
    "perf_duration",
    "perf_events",
    "perf_interval",
    "revocable_cpu_low_priority",
    "seccomp_config_dir",
    "seccomp_profile_name",
    "volume_gid_range",
};

const char* const FETCHER[] = {
    "fetcher_cache_dir", "fetcher_cache_size", "fetcher_stall_timeout", "frameworks_home", "hadoop_home"};

// Mesos knows the capabilities of 2014, and ends when the kernel has others.
void refuseUnknownCapabilities(const FlagValues& flags)
{
  constexpr int LAST_KNOWN = 37;
  int last = LAST_KNOWN;
  std::ifstream("/proc/sys/kernel/cap_last_cap") >> last;
  if (last <= LAST_KNOWN) return;

  const std::string reason = "this kernel has capabilities that Mesos does not know (" + std::to_string(last + 1) +
                             " instead of " + std::to_string(LAST_KNOWN + 1) + ")";
  for (const std::string& isolator : split(flags.text("isolation"), ','))
    if (isolator == "linux/capabilities") refuse("isolation", flags.text("isolation"), reason);
  for (const char* flag : {"effective_capabilities", "bounding_capabilities"})
    if (flags.isSet(flag)) refuse(flag, flags.text(flag), reason);
}

void refuseAbsentIsolators(const FlagValues& flags)
{
  const std::pair<const char*, const char*> absent[] = {
      {"disk/xfs", "the official library was built without it; disk/du does the same, less exactly"},
      {"network/port_mapping", "the official library was built without it; see network/cni"},
      {"network/ports", "the official library was built without it"},
      {"volume/csi", "CSI plugins speak gRPC, which is not supported with OpenSSL 3"}};
  const std::string list = flags.text("isolation");
  for (const std::string& isolator : split(list, ','))
    for (const auto& [name, reason] : absent)
      if (isolator == name) refuse("isolation", list, "'" + isolator + "': " + reason);
}

}

void refuseMasterFlags(const FlagValues& flags)
{
  const std::string allocator = flags.text("allocator");
  if (allocator != "hierarchical" && allocator != "HierarchicalDRF")
    refuse("allocator", allocator, "the official library has no loader for allocator modules; allowed: hierarchical");
  for (const char* sorter : {"role_sorter", "framework_sorter"})
    if (flags.text(sorter) != "drf")
      refuse(sorter, flags.text(sorter), "the official library contains no other sorter than drf");
}

void refuseAgentFlags(const FlagValues& flags)
{
  refuseChanged(flags, STORAGE_PLUGINS, "CSI plugins speak gRPC, which is not supported with OpenSSL 3");
  refuseChanged(
      flags, EXECUTOR_IN_CONTAINER,
      "mesos-docker-executor keeps its agent's recovery files and must run on the host itself");

  const std::string folder = flags.text("launcher_dir");
  const auto needs = [&folder](const std::string& what, const std::string& program) {
    return "it configures " + what + ", which needs the program " + program + " in --launcher_dir (" + folder +
           "), and it is not there";
  };
  const auto lacks = [&folder](const std::string& program) {
    return access(joinedPath(folder, program).c_str(), X_OK) != 0;
  };
  if (lacks("mesos-containerizer"))
    refuseChanged(flags, MESOS_CONTAINERS, needs("containers of the Mesos containerizer", "mesos-containerizer"));
  if (lacks("mesos-fetcher")) refuseChanged(flags, FETCHER, needs("the download of tasks' URIs", "mesos-fetcher"));

  refuseAbsentIsolators(flags);
  refuseUnknownCapabilities(flags);

  const std::string location = flags.text("domain_socket_location");
  if (startsWith(location, "systemd:"))
    refuse("domain_socket_location", location, "socket activation is not supported; give a path");
}
