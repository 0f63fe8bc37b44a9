#include "version2_policy.hpp"

#include <string>

#include "cgroup2.hpp"
#include "cgroup2_limits.hpp"
#include "flag_policy.hpp"
#include "text.hpp"

namespace {

const char* const CGROUP_VERSION_1[] = {
    "agent_subsystems",
    "cgroups_hierarchy",
    "cgroups_net_cls_primary_handle",
    "cgroups_net_cls_secondary_handles",
    "nvidia_gpu_devices",
    "perf_duration",
    "perf_events",
    "perf_interval",
    "systemd_runtime_directory",
};

const std::string NEEDS_VERSION_1 = "it needs cgroup version 1, and this host has version 2 only";

bool needsVersion1(const std::string& isolator)
{
  return (startsWith(isolator, "cgroups/") && !isVersion2Isolator(isolator)) || isolator == "gpu/nvidia" ||
         isolator == "linux/devices";
}

// Their namespaces are made by Mesos' linux launcher, which finds a container's processes by version 1.
bool needsLinuxLauncher(const std::string& isolator)
{
  return startsWith(isolator, "namespaces/") || isolator == "filesystem/linux" || isolator == "filesystem/shared" ||
         isolator == "docker/runtime" || isolator == "appc/runtime" || isolator == "volume/image";
}

void refuseIsolators(const FlagValues& flags)
{
  const std::string list = flags.text("isolation");
  const std::string use = "; use cgroups/cpu,cgroups/mem,cgroups/pids";
  for (const std::string& isolator : split(list, ',')) {
    const std::string named = "'" + isolator + "' needs ";
    if (needsVersion1(isolator))
      refuse("isolation", list, named + "cgroup version 1, and this host has version 2 only" + use);
    if (needsLinuxLauncher(isolator))
      refuse("isolation", list, named + "the linux launcher, which needs cgroup version 1" + use);
  }
}

void refuseImagesAndNetworks(const FlagValues& flags)
{
  for (const char* name : {"image_providers", "network_cni_config_dir", "network_cni_plugins_dir"})
    if (flags.isChanged(name))
      refuse(name, flags.text(name), "images and networks of containers need the linux launcher, and so cgroup version 1");
}

void refuseMissingControllers(const FlagValues& flags)
{
  const std::set<std::string> available = Cgroup2("/").controllers();
  for (const std::string& controller : controllersFor(flags.text("isolation"), available))
    if (available.count(controller) == 0)
      refuse(
          "isolation", flags.text("isolation"),
          "it needs the controller '" + controller + "' of cgroup version 2, and this host has " + joined(available));
}

}

void adaptToCgroupVersion2(FlagValues& flags)
{
  for (const char* name : CGROUP_VERSION_1)
    if (flags.isChanged(name)) refuse(name, flags.text(name), NEEDS_VERSION_1);

  const std::string root = flags.text("cgroups_root");
  if (root.find_first_not_of('/') == std::string::npos)
    refuse("cgroups_root", root, "containers need a control group below the host's own; give it a name");

  refuseIsolators(flags);
  refuseImagesAndNetworks(flags);
  refuseMissingControllers(flags);

  auto& launcher = flags.at<std::string>("launcher");
  if (launcher == "linux") {
    if (flags.isSet("launcher")) refuse("launcher", launcher, NEEDS_VERSION_1 + "; use posix");
    launcher = "posix";
  }

  auto& systemd = flags.at<bool>("systemd_enable_support");
  if (systemd && flags.isSet("systemd_enable_support"))
    refuse("systemd_enable_support", "true", NEEDS_VERSION_1 + "; use --no-systemd_enable_support");
  systemd = false;
}
