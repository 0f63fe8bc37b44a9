// What the agent tells its executor through environment variables: MESOS_* (Mesos' docs/executor-http-api.md),
// libprocess' LIBPROCESS_SSL_* (Mesos' docs/ssl.md), and what the agent's --executor_environment_variables and the
// task's own environment add to them: CONTAINER_LOGGER_* (Mesos' docs/logging.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent_access.hpp"
#include "duration.hpp"
#include "http.hpp"

namespace executor {

struct Environment {
  std::string agentAddress;  // "ip:port"
  std::string agentPath;     // of its operator API, such as "/slave(1)/api/v1"
  std::string frameworkId;
  std::string executorId;
  std::string sandbox;  // MESOS_DIRECTORY: the real path, while --sandbox_directory may be a link to it
  AgentAccess access;
  bool checkpoint = false;
  Duration recoveryTimeout{};
  Duration longestBackoff = std::chrono::seconds(2);
  Duration shutdownGracePeriod = std::chrono::seconds(5);
  std::map<std::string, std::string> containerLogger;  // see output_limits.hpp

  bool tlsEnabled = false;
  TlsSettings tls;
  // Names that the agent's certificate may bear (any one will do); none: its name is not checked.
  std::vector<std::string> tlsServerNames;
};

// Reads and then removes what children must not inherit. Throws std::invalid_argument with a message for people.
Environment readEnvironment();

}  // namespace executor
