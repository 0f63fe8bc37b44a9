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

AgentCalls::CallId AgentCalls::send(const std::string& type, const Json& content, Done done) {
  return add({bodyOf(type, content), std::move(done), false});
}

AgentCalls::CallId AgentCalls::sendOnce(const std::string& type, const Json& content, Done done) {
  return add({bodyOf(type, content), std::move(done), true});
}

AgentCalls::CallId AgentCalls::add(Call call) {
  calls_[++lastCall_] = std::move(call);
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
  // An agent that starts knows no API yet (404), and may have another key for its executors' tokens (401): no error counts
  // before the connection has found its way.
  const bool subscribed = agent_.session().subscribed();
  http_.send(agent_.endpoint().request("", call->second.body), [this, id, subscribed](const HttpResponse& response) {
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    const bool unanswered = isAway(response) || (!subscribed && !response.ok());
    if (unanswered && !found->second.once) {
      loop_.after(kRetryDelay, [this, id] { attempt(id); });
      return;
    }
    const Done done = std::move(found->second.done);
    calls_.erase(found);
    HttpResponse answer = response;
    if (unanswered) answer.status = 0;
    done(answer);
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
