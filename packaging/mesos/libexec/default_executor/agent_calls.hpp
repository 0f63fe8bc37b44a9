// Calls of the agent's operator API. The agent may be away or recover: most calls are made again until they are answered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent_connection.hpp"
#include "event_loop.hpp"
#include "http.hpp"
#include "json.hpp"

namespace executor {

class AgentCalls {
 public:
  using CallId = uint64_t;  // 0 is no call
  using Done = std::function<void(const HttpResponse&)>;

  AgentCalls(EventLoop& loop, HttpClient& http, const AgentConnection& agent)
      : loop_(loop), http_(http), agent_(agent) {}
  AgentCalls(const AgentCalls&) = delete;
  AgentCalls& operator=(const AgentCalls&) = delete;

  // `type`: as "WAIT_NESTED_CONTAINER". `content`: what the call has under its name.
  // `done` gets the agent's answer.
  CallId send(const std::string& type, const Json& content, Done done);
  // The same for a call that must not be made again: `done` gets a status of 0 when there was no answer.
  CallId sendOnce(const std::string& type, const Json& content, Done done);
  // Nobody waits for its answer any more: it is not made again. Resets `id`; a call that is answered is no error.
  void forget(CallId& id);

  // The same once, and with a stream as its answer.
  std::unique_ptr<HttpTransfer> stream(const std::string& type, const Json& content, HttpHandlers handlers);

  // Whether it says that the agent is away, or is not ready yet.
  static bool isAway(const HttpResponse& response) { return response.status == 0 || response.status == 503; }

 private:
  struct Call {
    std::string body;
    Done done;
    bool once;
  };

  CallId add(Call call);
  void attempt(CallId id);

  EventLoop& loop_;
  HttpClient& http_;
  const AgentConnection& agent_;
  std::map<CallId, Call> calls_;
  CallId lastCall_ = 0;
};

}  // namespace executor
