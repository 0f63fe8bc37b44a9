#include "agent_cgroup.hpp"

#include <unistd.h>

#include <map>
#include <set>

#include "abi/cgroups.hpp"
#include "abi/virtual_base.hpp"
#include "diagnostics.hpp"
#include "text.hpp"

namespace {

template <typename T>
void require(const Try<T>& done, const std::string& what)
{
  if (done.isError()) fail(what + ": " + done.error());
}

void enterAgentCgroup(const FlagValues& flags, const std::string& subsystem)
{
  const std::string root = flags.text("cgroups_root");
  const std::string cgroup = joinedPath(root, "slave");
  const std::string where = " cgroup " + cgroup + " for subsystem " + subsystem;
  logInfo("Moving agent process into its own cgroup for subsystem: " + subsystem);

  Try<std::string> hierarchy = cgroups::prepare(flags.text("cgroups_hierarchy"), subsystem, root);
  require(hierarchy, "Failed to prepare cgroup " + root + " for subsystem " + subsystem);
  if (!cgroups::exists(hierarchy.get(), cgroup))
    require(cgroups::create(hierarchy.get(), cgroup, false), "Failed to create" + where);

  Try<std::set<pid_t>> processes = cgroups::processes(hierarchy.get(), cgroup);
  require(processes, "Failed to check for existing processes in" + where);
  for (pid_t process : processes.get())
    logInfo("An agent or its child is still running in" + where + ": process " + std::to_string(process));

  require(cgroups::assign(hierarchy.get(), cgroup, getpid()), "Failed to move agent into" + where);
}

}

void enterAgentCgroups(const FlagValues& flags)
{
  for (const std::string& subsystem : split(flags.text("agent_subsystems"), ',')) enterAgentCgroup(flags, subsystem);
}

void initializeSystemdSupport(const FlagValues& flags)
{
  if (!flags.at<bool>("systemd_enable_support") || !systemd::exists()) return;

  logInfo("Initializing systemd state");
  auto* systemdFlags = new systemd::Flags;
  const std::map<std::string, std::string> values = {
      {"enabled", "true"},
      {"runtime_directory", flags.text("systemd_runtime_directory")},
      {"cgroups_hierarchy", flags.text("cgroups_hierarchy")}};
  require(
      virtualBase<flags::FlagsBase>(*systemdFlags).load(values, false, Option<std::string>()),
      "Failed to initialize systemd");
  require(systemd::initialize(*systemdFlags), "Failed to initialize systemd");
}
