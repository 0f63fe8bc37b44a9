// The command line, as Mesos' agent and its isolators write it.
#pragma once

#include <string>
#include <vector>

#include "flag_parser.hpp"
#include "json.hpp"
#include "log.hpp"

namespace executor {

struct CommandFlags {
  std::string launcherDirectory;
  std::string rootfs;            // of the task, empty for the host's
  std::string sandboxDirectory;  // in `rootfs`
  std::string workingDirectory;  // in `rootfs`, empty for the sandbox
  std::string user;              // of the task in `rootfs`; without one it runs as the executor does
  Json taskCommand;              // CommandInfo instead of the task's, or null
  Json taskEnvironment;          // Environment, or null
  Json effectiveCapabilities;    // CapabilityInfo, or null
  Json boundingCapabilities;
  Json taskLaunchInfo;           // ContainerLaunchInfo of what is to be done in the task's own namespace, or null
  std::vector<int64_t> supplementaryGroups;
  bool tty = false;
  LogSettings log;
};

// The flags that fill `into`, which must outlive them.
std::vector<Flag> commandFlags(CommandFlags& into);

}  // namespace executor
