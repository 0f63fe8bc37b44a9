#include "agent_endpoint.hpp"

#include <fcntl.h>
#include <sys/un.h>

#include <algorithm>

#include "recovery_endpoint.hpp"

namespace executor {
namespace {

// The path of a unix socket is limited to 107 bytes; a link through the folder's descriptor is always short enough.
std::string shortSocketPath(const std::string& path) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  const size_t slash = path.rfind('/');
  const int folder = open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);  // kept for good
  return "/proc/self/fd/" + std::to_string(folder) + path.substr(slash);
}

}  // namespace

AgentEndpoint::AgentEndpoint(const Environment& environment)
    : environment_(environment),
      pidsFolder_(pidsFolderOf(environment.sandbox)),
      access_(environment.access),
      domainSocket_(shortSocketPath(access_.domainSocket)),
      tls_(environment.tls),
      serverNames_(environment.tlsServerNames) {
  tls_.verifyName = !serverNames_.empty();
}

HttpRequest AgentEndpoint::request(const std::string& path, std::string body) const {
  const std::string target = environment_.agentPath + path;
  HttpRequest request;
  request.method = "POST";
  request.body = std::move(body);
  request.headers = {"Content-Type: application/json", "Accept: application/json"};
  if (!access_.token.empty()) request.headers.push_back("Authorization: Bearer " + access_.token);
  if (!access_.domainSocket.empty()) {
    request.url = "http://agent" + target;
    request.unixSocket = domainSocket_;
  } else if (environment_.tlsEnabled) {
    const size_t colon = environment_.agentAddress.rfind(':');
    const std::string host = serverNames_.empty() ? environment_.agentAddress.substr(0, colon) : serverNames_.front();
    request.url = "https://" + host + environment_.agentAddress.substr(colon) + target;
    request.connectTo = environment_.agentAddress;
    request.tls = &tls_;
  } else {
    request.url = "http://" + environment_.agentAddress + target;
  }
  request.connectTimeout = std::chrono::milliseconds(2000);
  return request;
}

void AgentEndpoint::renew() {
  const auto access = readAgentAccess(pidsFolder_);
  if (!access || *access == access_) return;
  if (access->domainSocket != access_.domainSocket) domainSocket_ = shortSocketPath(access->domainSocket);
  access_ = *access;
}

void AgentEndpoint::learnFrom(const HttpResponse& response) {
  if (response.code == CURLE_PEER_FAILED_VERIFICATION && serverNames_.size() > 1) {
    std::rotate(serverNames_.begin(), serverNames_.begin() + 1, serverNames_.end());
  }
}

}  // namespace executor
