#include "agent_connection.hpp"

#include <algorithm>

#include "log.hpp"

namespace executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kExecutorApi[] = "/executor";

// With Mesos' default of 2 s for --executor_reregistration_timeout every attempt counts, and one costs a refused
// connect: never wait longer than this, and less when the agent's own timeout is shorter.
constexpr Duration kLongestRetryDelay = milliseconds(250);
// A recovering agent answers 503 at once; no answer at all may mean that the request is lost. But an agent that starts or
// recovers very many executors is just slow, and each further request makes it slower: so wait longer each time.
constexpr Duration kAnswerTimeout = seconds(3);
// A new executor's agent is there. To the first request it sends the task, in the end, and takes it for dropped when that
// has been given up: wait as long as Mesos waits for an executor.
constexpr Duration kLongestAnswerTimeout = seconds(60);
constexpr Duration kUpdateRetryDelay = milliseconds(200);
// An agent with another key for its executors' tokens takes none of those that it finds, and ends their containers when
// the longest --executor_reregistration_timeout is over, which is this. It can't tell more than the executors do.
constexpr Duration kLongestRefusal = seconds(15);

}  // namespace

AgentConnection::AgentConnection(EventLoop& loop, HttpClient& http, const Environment& environment,
                                 Handlers handlers)
    : loop_(loop),
      http_(http),
      environment_(environment),
      handlers_(std::move(handlers)),
      answerTimeout_(kLongestAnswerTimeout),
      endpoint_(environment),
      session_(environment.frameworkId, environment.executorId,
               std::min(kLongestRetryDelay, environment.longestBackoff / 4)) {}

void AgentConnection::connect() {
  if (environment_.checkpoint && recoveryTimer_ == 0) {
    recoveryTimer_ = loop_.after(environment_.recoveryTimeout, [this] {
      handlers_.onLost("no subscription within the recovery timeout of " + describe(environment_.recoveryTimeout));
    });
  }
  subscribe();
}

void AgentConnection::subscribe() {
  loop_.cancel(retryTimer_);
  endpoint_.renew();
  streaming_ = false;
  refusal_.clear();
  HttpHandlers handlers;
  handlers.onHeaders = [this](const HttpResponse& response) { onSubscribeHeaders(response); };
  handlers.onData = [this](std::string_view bytes) { return onStreamData(bytes); };
  handlers.onDone = [this](const HttpResponse& response) {
    onStreamEnd(!refusal_.empty() ? refusal_ : response.status == 0 ? response.error : "the agent closed the stream");
    endpoint_.learnFrom(response);
  };
  subscription_ = http_.start(endpoint_.request(kExecutorApi, session_.subscribeCall()), std::move(handlers));
  answerTimer_ = loop_.after(answerTimeout_, [this] {
    const std::string why = "no answer within " + describe(answerTimeout_);
    answerTimeout_ = std::min(answerTimeout_ * 2, kLongestAnswerTimeout);
    onStreamEnd(why);
  });
}

void AgentConnection::onSubscribeHeaders(const HttpResponse& response) {
  loop_.cancel(answerTimer_);
  streaming_ = response.status == 200;
  const bool tokenRefused = response.status == 401 || response.status == 403;
  if (!tokenRefused) {
    loop_.cancel(tokenTimer_);
  } else if (tokenTimer_ == 0) {
    tokenTimer_ = loop_.after(kLongestRefusal, [this] {
      handlers_.onLost("the agent has refused the executor's token for " + describe(kLongestRefusal));
    });
  }
  if (!streaming_) refusal_ = "HTTP status " + std::to_string(response.status);
}

size_t AgentConnection::onStreamData(std::string_view bytes) {
  if (!streaming_) {
    refusal_ += refusal_.find(": ") == std::string::npos ? ": " : "";
    refusal_ += bytes;
    return bytes.size();
  }
  try {
    for (const Json& event : session_.streamData(bytes)) {
      if (textOr(event, "type", "", "event") == "SUBSCRIBED") {
        loop_.cancel(recoveryTimer_);
        answerTimeout_ = kAnswerTimeout;
        logInfo("Subscribed to agent " + session_.agentId() + " at " + environment_.agentAddress);
      }
      handlers_.onEvent(event);
    }
    sendNextUpdate();
  } catch (const std::exception& error) {
    // The agent sends what is not acknowledged again after a new subscription.
    loop_.after(Duration::zero(), [this, why = std::string(error.what())] { onStreamEnd(why); });
  }
  return bytes.size();
}

void AgentConnection::onStreamEnd(const std::string& why) {
  loop_.cancel(answerTimer_);
  loop_.cancel(updateTimer_);
  if (refusal_.empty()) loop_.cancel(tokenTimer_);  // it may come back with the right key
  const bool wasSubscribed = session_.subscribed();
  session_.streamEnded();
  update_.reset();
  message_.reset();
  messages_.clear();
  subscription_.reset();
  if (!environment_.checkpoint) {
    // Without checkpointing the agent forgets its executors: Mesos wants them to end with it.
    handlers_.onLost("the agent is gone (" + why + ") and the framework does not checkpoint");
    return;
  }
  if (wasSubscribed) {
    logWarning("The agent is gone (" + why + "): the task goes on, and is offered to the agent again for " +
               describe(environment_.recoveryTimeout));
    recoveryTimer_ = loop_.after(environment_.recoveryTimeout, [this] {
      handlers_.onLost("the agent did not come back within the recovery timeout of " +
                       describe(environment_.recoveryTimeout));
    });
  } else if (!refusal_.empty()) {
    logInfo("The agent does not take the executor yet: " + refusal_);
  }
  retry();
}

void AgentConnection::retry() {
  loop_.cancel(retryTimer_);
  retryTimer_ = loop_.after(session_.nextRetryDelay(), [this] { subscribe(); });
}

void AgentConnection::wake() {
  session_.resetRetryDelay();
  if (retryTimer_ != 0) retry();
}

std::string AgentConnection::sendUpdate(Json status) {
  const std::string uuid = session_.addUpdate(std::move(status));
  sendNextUpdate();
  return uuid;
}

void AgentConnection::sendNextUpdate() {
  if (update_ || updateTimer_ != 0) return;
  auto call = session_.nextUpdateCall();
  if (!call) return;
  HttpRequest update = endpoint_.request(kExecutorApi, std::move(*call));
  update.timeout = milliseconds(10000);
  HttpHandlers handlers;
  handlers.onDone = [this](const HttpResponse& response) { onUpdateDone(response); };
  update_ = http_.start(std::move(update), std::move(handlers));
}

void AgentConnection::onUpdateDone(const HttpResponse& response) {
  const bool accepted = response.status == 202;
  session_.updateSent(accepted);
  update_.reset();
  if (accepted) {
    sendNextUpdate();
    return;
  }
  // An agent that still recovers takes the subscription but no updates (503).
  logWarning("The agent does not take a status update yet: " + response.describe());
  updateTimer_ = loop_.after(kUpdateRetryDelay, [this] {
    updateTimer_ = 0;
    sendNextUpdate();
  });
}

void AgentConnection::sendMessage(std::string message) {
  if (!session_.subscribed()) return;
  messages_.push_back(std::move(message));
  sendNextMessage();
}

// One at a time: two connections would not keep the order.
void AgentConnection::sendNextMessage() {
  if (message_ || messages_.empty()) return;
  HttpRequest request = endpoint_.request(kExecutorApi, session_.messageCall(messages_.front()));
  messages_.pop_front();
  request.timeout = milliseconds(10000);
  HttpHandlers handlers;
  handlers.onDone = [this](const HttpResponse& response) {
    if (response.status != 202) logWarning("The agent does not take a message: " + response.describe());
    message_.reset();
    sendNextMessage();
  };
  message_ = http_.start(std::move(request), std::move(handlers));
}

}  // namespace executor
