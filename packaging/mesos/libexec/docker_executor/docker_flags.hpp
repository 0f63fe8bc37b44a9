// The command line, as Mesos' agent writes it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "duration.hpp"
#include "flag_parser.hpp"
#include "json.hpp"
#include "log.hpp"

namespace executor {

struct DockerFlags {
  std::string launcherDirectory;
  std::string container;
  std::string docker;
  std::string dockerSocket;
  std::string sandboxDirectory;
  std::string mappedDirectory;
  Duration stopTimeout{};
  std::map<std::string, std::string> taskEnvironment;
  Json defaultContainerDns;  // ContainerDNSInfo or null
  bool cgroupsEnableCfs = false;
  LogSettings log;
};

// The flags that fill `into`, which must outlive them.
std::vector<Flag> dockerFlags(DockerFlags& into);

}  // namespace executor
