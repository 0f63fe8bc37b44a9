// The command line, as Mesos' agent writes it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "duration.hpp"
#include "json.hpp"
#include "log.hpp"

namespace executor {

struct Flags {
  std::string container;
  std::string docker;
  std::string dockerSocket;
  std::string sandboxDirectory;
  std::string mappedDirectory;
  std::string launcherDirectory;
  Duration stopTimeout{};
  std::map<std::string, std::string> taskEnvironment;
  Json defaultContainerDns;  // ContainerDNSInfo or null
  bool cgroupsEnableCfs = false;
  LogSettings log;
  bool help = false;
  bool version = false;
};

// Throws std::invalid_argument with a message for people; unknown flags are errors, as in Mesos.
Flags parseFlags(int argc, char** argv);

std::string usage(const std::string& program);

}  // namespace executor
