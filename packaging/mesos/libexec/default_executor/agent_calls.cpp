#include "agent_calls.hpp"

#include <algorithm>
#include <cctype>

namespace executor {
namespace {

constexpr Duration kRetryDelay = std::chrono::milliseconds(250);

std::string bodyOf(const std::string& type, const Json& content) {
  std::string field = type;
  std::transform(field.begin(), field.end(), field.begin(), [](unsigned char letter) { return std::tolower(letter); });
  return dump({{"type", type}, {field, content}});
}

}  // namespace

// 401 is an agent's that has another key for its executors' tokens than the one before: the connection finds the new one,
// or ends the executor.
bool AgentCalls::unanswered(const HttpResponse& response) {
  return response.status == 0 || response.status == 401 || response.status == 503;
}

AgentCalls::CallId AgentCalls::send(const std::string& type, const Json& content, Done done) {
  calls_[++lastCall_] = {bodyOf(type, content), std::move(done)};
  attempt(lastCall_);
  return lastCall_;
}

void AgentCalls::forget(CallId& id) {
  calls_.erase(id);
  id = 0;
}

void AgentCalls::attempt(CallId id) {
  const auto call = calls_.find(id);
  if (call == calls_.end()) return;
  http_.send(agent_.endpoint().request("", call->second.body), [this, id](const HttpResponse& response) {
    if (unanswered(response)) {
      loop_.after(kRetryDelay, [this, id] { attempt(id); });
      return;
    }
    const auto answered = calls_.find(id);
    if (answered == calls_.end()) return;
    const Done done = std::move(answered->second.done);
    calls_.erase(answered);
    done(response);
  });
}

std::unique_ptr<HttpTransfer> AgentCalls::stream(const std::string& type, const Json& content, HttpHandlers handlers) {
  HttpRequest request = agent_.endpoint().request("", bodyOf(type, content));
  request.headers.push_back("Message-Accept: application/json");
  std::replace(request.headers.begin(), request.headers.end(), std::string("Accept: application/json"),
               std::string("Accept: application/recordio"));
  return http_.start(std::move(request), std::move(handlers));
}

}  // namespace executor
