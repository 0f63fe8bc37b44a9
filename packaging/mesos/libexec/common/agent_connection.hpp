// Keeps the executor subscribed to its agent: sends the calls that AgentSession wants sent, subscribes again when the
// agent went away, and gives up only after the recovery timeout.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "agent_endpoint.hpp"
#include "agent_session.hpp"
#include "environment.hpp"
#include "event_loop.hpp"
#include "http.hpp"

namespace executor {

class AgentConnection {
 public:
  struct Handlers {
    std::function<void(const Json& event)> onEvent;
    // The agent won't come back for this executor, for the reason given.
    std::function<void(const std::string& reason)> onLost;
  };

  AgentConnection(EventLoop& loop, HttpClient& http, const Environment& environment, Handlers handlers);

  void connect();
  // Delivers an update, now or with the next subscription. Returns its uuid.
  std::string sendUpdate(Json status);
  // Hands a message to the framework, after those before it. Those that the agent does not take are lost.
  void sendMessage(std::string message);
  // A hint that the agent is back: try at once if not subscribed.
  void wake();

  const AgentSession& session() const { return session_; }
  const AgentEndpoint& endpoint() const { return endpoint_; }

 private:
  void subscribe();
  void onSubscribeHeaders(const HttpResponse& response);
  size_t onStreamData(std::string_view bytes);
  void onStreamEnd(const std::string& why);
  void retry();
  void sendNextUpdate();
  void onUpdateDone(const HttpResponse& response);
  void sendNextMessage();

  EventLoop& loop_;
  HttpClient& http_;
  const Environment& environment_;
  const Handlers handlers_;
  Duration answerTimeout_;
  AgentEndpoint endpoint_;
  AgentSession session_;
  std::string refusal_;  // what the agent last said instead of an event stream
  std::unique_ptr<HttpTransfer> subscription_;
  std::unique_ptr<HttpTransfer> update_;
  std::deque<std::string> messages_;
  std::unique_ptr<HttpTransfer> message_;
  EventLoop::TimerId retryTimer_ = 0;
  EventLoop::TimerId answerTimer_ = 0;
  EventLoop::TimerId recoveryTimer_ = 0;
  EventLoop::TimerId updateTimer_ = 0;
  EventLoop::TimerId tokenTimer_ = 0;
  bool streaming_ = false;
};

}  // namespace executor
