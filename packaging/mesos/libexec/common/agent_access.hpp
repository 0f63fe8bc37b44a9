// How the agent is reached, and what it wants to see. The environment says it of the agent that has started the
// executor; one that is started later may differ, and leaves word beside the executor's checkpointed pid.
#pragma once

#include <optional>
#include <string>

namespace executor {

struct AgentAccess {
  std::string domainSocket;  // the agent's socket, empty when it has none
  std::string token;         // empty when it wants none

  bool operator==(const AgentAccess& other) const {
    return domainSocket == other.domainSocket && token == other.token;
  }
};

// What a later agent has left in `folder`; nothing when there was none, or what is there makes no sense.
std::optional<AgentAccess> readAgentAccess(const std::string& folder);

}  // namespace executor
