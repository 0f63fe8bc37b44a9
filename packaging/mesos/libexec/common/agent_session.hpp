// The executor's side of Mesos' v1 executor HTTP API, without any I/O: which call to send next, what an event means,
// what is not acknowledged yet, and how long to wait before the next attempt. Source: Mesos' docs/executor-http-api.md.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "duration.hpp"
#include "json.hpp"
#include "recordio.hpp"

namespace executor {

class AgentSession {
 public:
  // `longestRetryDelay`: the cap of the back-off between two attempts to subscribe.
  AgentSession(std::string frameworkId, std::string executorId, Duration longestRetryDelay);

  // --- Subscription: subscribeCall() goes out, then its response comes in, until streamEnded().
  std::string subscribeCall();
  // Bytes of the response's body. Returns the events in them, after taking note of those that concern the session
  // itself (SUBSCRIBED, ACKNOWLEDGED, LAUNCH, LAUNCH_GROUP). Throws std::runtime_error or InvalidField when the stream is broken.
  std::vector<Json> streamData(std::string_view bytes);
  void streamEnded();
  // How long to wait before the next subscribeCall(): short at first, doubled with each failure up to the cap.
  Duration nextRetryDelay();
  // Something says that the agent is back: start again with the shortest delay.
  void resetRetryDelay() { retryDelay_ = kFirstRetryDelay; }

  bool subscribed() const { return subscribed_; }
  const std::string& agentId() const { return agentId_; }
  bool frameworkHasCapability(const std::string& capability) const;

  // --- Status updates, delivered one after the other in the order given.
  // Completes `status` (uuid, source, timestamp, ids) and keeps it until it is acknowledged. Returns its uuid.
  std::string addUpdate(Json status);
  // The UPDATE call to send now, if any; it is in flight until updateSent() says how it went.
  std::optional<std::string> nextUpdateCall();
  void updateSent(bool accepted);
  bool acknowledged(const std::string& uuid) const;

  // --- Messages to the framework, which may get lost.
  std::string messageCall(const std::string& message) const;

 private:
  static constexpr Duration kFirstRetryDelay = std::chrono::milliseconds(10);

  struct Update {
    std::string uuid;
    std::string taskId;
    Json status;
    bool sent;  // over this subscription: by an UPDATE call or inside SUBSCRIBE
  };

  Json call(const char* type) const;
  void note(const Json& event);

  const std::string frameworkId_;
  const std::string executorId_;
  const Duration longestRetryDelay_;
  Duration retryDelay_ = kFirstRetryDelay;
  bool subscribed_ = false;
  bool updateInFlight_ = false;
  RecordDecoder decoder_;
  std::string agentId_;
  Json frameworkInfo_;
  std::vector<Json> unacknowledgedTasks_;
  std::deque<Update> unacknowledgedUpdates_;
};

}  // namespace executor
