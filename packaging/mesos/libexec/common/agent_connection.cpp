#include "agent_connection.hpp"

#include <fcntl.h>
#include <sys/un.h>

#include <algorithm>

#include "log.hpp"
#include "recovery_endpoint.hpp"

namespace executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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

// The path of a unix socket is limited to 107 bytes; a link through the folder's descriptor is always short enough.
std::string shortSocketPath(const std::string& path) {
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  const size_t slash = path.rfind('/');
  const int folder = open(path.substr(0, slash).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);  // kept for good
  return "/proc/self/fd/" + std::to_string(folder) + path.substr(slash);
}

}  // namespace

AgentConnection::AgentConnection(EventLoop& loop, HttpClient& http, const Environment& environment,
                                 Handlers handlers)
    : loop_(loop),
      http_(http),
      environment_(environment),
      handlers_(std::move(handlers)),
      answerTimeout_(kLongestAnswerTimeout),
      session_(environment.frameworkId, environment.executorId,
               std::min(kLongestRetryDelay, environment.longestBackoff / 4)),
      pidsFolder_(pidsFolderOf(environment.sandbox)),
      access_(environment.access),
      domainSocket_(shortSocketPath(access_.domainSocket)),
      tls_(environment.tls),
      serverNames_(environment.tlsServerNames) {
  tls_.verifyName = !serverNames_.empty();
}

HttpRequest AgentConnection::request(std::string body) const {
  const std::string& path = environment_.agentPath;
  HttpRequest request;
  request.method = "POST";
  request.body = std::move(body);
  request.headers = {"Content-Type: application/json", "Accept: application/json"};
  if (!access_.token.empty()) request.headers.push_back("Authorization: Bearer " + access_.token);
  if (!access_.domainSocket.empty()) {
    request.url = "http://agent" + path;
    request.unixSocket = domainSocket_;
  } else if (environment_.tlsEnabled) {
    const size_t colon = environment_.agentAddress.rfind(':');
    const std::string host = serverNames_.empty() ? environment_.agentAddress.substr(0, colon) : serverNames_.front();
    request.url = "https://" + host + environment_.agentAddress.substr(colon) + path;
    request.connectTo = environment_.agentAddress;
    request.tls = &tls_;
  } else {
    request.url = "http://" + environment_.agentAddress + path;
  }
  request.connectTimeout = milliseconds(2000);
  return request;
}

void AgentConnection::connect() {
  if (environment_.checkpoint && recoveryTimer_ == 0) {
    recoveryTimer_ = loop_.after(environment_.recoveryTimeout, [this] {
      handlers_.onLost("no subscription within the recovery timeout of " + describe(environment_.recoveryTimeout));
    });
  }
  subscribe();
}

void AgentConnection::renewAccess() {
  const auto access = readAgentAccess(pidsFolder_);
  if (!access || *access == access_) return;
  if (access->domainSocket != access_.domainSocket) domainSocket_ = shortSocketPath(access->domainSocket);
  access_ = *access;
}

void AgentConnection::subscribe() {
  loop_.cancel(retryTimer_);
  renewAccess();
  streaming_ = false;
  refusal_.clear();
  HttpHandlers handlers;
  handlers.onHeaders = [this](const HttpResponse& response) { onSubscribeHeaders(response); };
  handlers.onData = [this](std::string_view bytes) { return onStreamData(bytes); };
  handlers.onDone = [this](const HttpResponse& response) {
    onStreamEnd(!refusal_.empty() ? refusal_ : response.status == 0 ? response.error : "the agent closed the stream");
    if (response.code == CURLE_PEER_FAILED_VERIFICATION && serverNames_.size() > 1) {
      std::rotate(serverNames_.begin(), serverNames_.begin() + 1, serverNames_.end());
    }
  };
  subscription_ = http_.start(request(session_.subscribeCall()), std::move(handlers));
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
  HttpRequest update = request(std::move(*call));
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
  HttpRequest request = this->request(session_.messageCall(messages_.front()));
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
