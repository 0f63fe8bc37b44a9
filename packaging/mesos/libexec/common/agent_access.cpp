#include "agent_access.hpp"

#include <fstream>
#include <iterator>

#include "json.hpp"
#include "log.hpp"

namespace executor {

std::optional<AgentAccess> readAgentAccess(const std::string& folder) {
  std::ifstream file(folder + "/agent_access.json");
  if (!file) return std::nullopt;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  try {
    const Json access = parseJson(text, "agent_access.json");
    return AgentAccess{textOr(access, "domain_socket", "", "agent_access.json"),
                       textOr(access, "token", "", "agent_access.json")};
  } catch (const InvalidField& error) {
    logWarning(std::string("What the agent has left can't be read: ") + error.what());
    return std::nullopt;
  }
}

}  // namespace executor
