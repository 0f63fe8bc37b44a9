// Where the agent's HTTP APIs are, and what it wants to see of whoever calls them: its socket or TLS, and a token.
#pragma once

#include <string>
#include <vector>

#include "agent_access.hpp"
#include "environment.hpp"
#include "http.hpp"

namespace executor {

class AgentEndpoint {
 public:
  explicit AgentEndpoint(const Environment& environment);

  // A call of the API at this path below that of the operator API, with a body of JSON.
  HttpRequest request(const std::string& path, std::string body) const;

  // Takes what a later agent has left for its executors.
  void renew();

  // Takes the next name of the agent if its certificate does not bear the current one.
  void learnFrom(const HttpResponse& response);

 private:
  const Environment& environment_;
  const std::string pidsFolder_;
  AgentAccess access_;
  std::string domainSocket_;  // a short path to that of access_
  TlsSettings tls_;
  std::vector<std::string> serverNames_;  // acceptable names of the agent's certificate, the current one first
};

}  // namespace executor
