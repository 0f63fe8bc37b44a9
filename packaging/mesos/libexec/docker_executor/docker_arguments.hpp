// From a TaskInfo to the arguments of `docker create`: a pure function, so that what a task asks for can be read off a
// table of cases. Every field is either honoured or refused with an InvalidField that names it; the few that Mesos
// documents as having no effect on Docker tasks come back as notes for the sandbox's stderr.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "json.hpp"
#include "secrets.hpp"

namespace executor {

// What the arguments depend on beside the task itself.
struct CreateContext {
  std::string containerName;
  std::string sandboxDirectory;  // on the host
  std::string mappedDirectory;   // in the container
  std::string frameworkId;
  std::string executorId;
  std::map<std::string, std::string> taskEnvironment;  // from the agent's hooks; wins over the task's own
  Json defaultContainerDns;                            // ContainerDNSInfo or null
  bool cgroupsEnableCfs = false;
  uint64_t totalMemory = 0;  // bytes of the host, for --oom-score-adj
};

struct CreateArguments {
  std::vector<std::string> arguments;  // what follows "docker create"
  Secrets environment;                 // variables that docker takes over from its own environment
  std::vector<std::string> notes;      // one sentence each
};

CreateArguments createArguments(const Json& task, const Secrets& secrets, const CreateContext& context);

}  // namespace executor
