#include "agent_session.hpp"

#include <algorithm>

#include "base64.hpp"

namespace executor {
namespace {

std::string taskIdOf(const Json& object, const char* where) { return idOf(object, "task_id", where); }

// Mesos writes an infinite limit as a bare Infinity, which is no JSON, but reads it as a string: make it one.
std::string quoteInfinities(const std::string& record) {
  static const std::string word = "Infinity";
  if (record.find(word) == std::string::npos) return record;
  std::string quoted;
  bool inString = false;
  for (size_t at = 0; at < record.size(); ++at) {
    if (!inString && record.compare(at, word.size(), word) == 0) {
      quoted += '"' + word + '"';
      at += word.size() - 1;
      continue;
    }
    if (inString && record[at] == '\\' && at + 1 < record.size()) quoted += record[at++];
    else if (record[at] == '"') inString = !inString;
    quoted += record[at];
  }
  return quoted;
}

double secondsSinceEpoch() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

AgentSession::AgentSession(std::string frameworkId, std::string executorId, Duration longestRetryDelay)
    : frameworkId_(std::move(frameworkId)),
      executorId_(std::move(executorId)),
      longestRetryDelay_(std::max(longestRetryDelay, kFirstRetryDelay)) {}

Json AgentSession::call(const char* type) const {
  return {{"type", type},
          {"framework_id", {{"value", frameworkId_}}},
          {"executor_id", {{"value", executorId_}}}};
}

std::string AgentSession::subscribeCall() {
  Json message = call("SUBSCRIBE");
  Json& subscribe = message["subscribe"] = Json::object();
  subscribe["unacknowledged_tasks"] = unacknowledgedTasks_;
  Json& updates = subscribe["unacknowledged_updates"] = Json::array();
  for (Update& update : unacknowledgedUpdates_) {
    updates.push_back({{"status", update.status}});
    update.sent = true;
  }
  decoder_ = RecordDecoder();
  updateInFlight_ = false;
  return dump(message);
}

std::vector<Json> AgentSession::streamData(std::string_view bytes) {
  std::vector<Json> events;
  for (const std::string& record : decoder_.feed(bytes)) {
    events.push_back(parseJson(quoteInfinities(record), "an event of the agent"));
    note(events.back());
  }
  return events;
}

void AgentSession::note(const Json& event) {
  const std::string type = textOr(event, "type", "", "event");
  if (type == "SUBSCRIBED") {
    const Json& body = member(event, "subscribed", "event");
    subscribed_ = true;
    resetRetryDelay();
    agentId_ = idOf(member(body, "agent_info", "subscribed"), "id", "agent_info");
    frameworkInfo_ = member(body, "framework_info", "subscribed");
  } else if (type == "LAUNCH") {
    unacknowledgedTasks_.push_back(member(member(event, "launch", "event"), "task", "launch"));
  } else if (type == "LAUNCH_GROUP") {
    const Json& group = member(member(event, "launch_group", "event"), "task_group", "launch_group");
    for (const Json& task : arrayOf(group, "tasks", "task_group")) unacknowledgedTasks_.push_back(task);
  } else if (type == "ACKNOWLEDGED") {
    const Json& body = member(event, "acknowledged", "event");
    const std::string uuid = textOr(body, "uuid", "", "acknowledged");
    const std::string taskId = taskIdOf(body, "acknowledged");
    unacknowledgedUpdates_.erase(
        std::remove_if(unacknowledgedUpdates_.begin(), unacknowledgedUpdates_.end(),
                       [&](const Update& update) { return update.uuid == uuid && update.taskId == taskId; }),
        unacknowledgedUpdates_.end());
    // A task counts as known to the agent with its first acknowledged update.
    unacknowledgedTasks_.erase(
        std::remove_if(unacknowledgedTasks_.begin(), unacknowledgedTasks_.end(),
                       [&](const Json& task) { return taskIdOf(task, "task") == taskId; }),
        unacknowledgedTasks_.end());
  }
}

void AgentSession::streamEnded() {
  subscribed_ = false;
  updateInFlight_ = false;
}

Duration AgentSession::nextRetryDelay() {
  const Duration delay = retryDelay_;
  retryDelay_ = std::min(retryDelay_ * 2, longestRetryDelay_);
  return delay;
}

bool AgentSession::frameworkHasCapability(const std::string& capability) const {
  for (const Json& entry : arrayOf(frameworkInfo_, "capabilities", "framework_info")) {
    if (textOr(entry, "type", "", "capabilities") == capability) return true;
  }
  return false;
}

std::string AgentSession::addUpdate(Json status) {
  const std::string uuid = randomUuid();
  status["uuid"] = uuid;
  status["source"] = "SOURCE_EXECUTOR";
  status["timestamp"] = secondsSinceEpoch();
  status["executor_id"] = {{"value", executorId_}};
  status["agent_id"] = {{"value", agentId_}};
  const std::string taskId = taskIdOf(status, "status");
  unacknowledgedUpdates_.push_back({uuid, taskId, std::move(status), false});
  return uuid;
}

std::optional<std::string> AgentSession::nextUpdateCall() {
  if (!subscribed_ || updateInFlight_) return std::nullopt;
  for (Update& update : unacknowledgedUpdates_) {
    if (update.sent) continue;
    update.sent = true;
    updateInFlight_ = true;
    Json message = call("UPDATE");
    message["update"] = {{"status", update.status}};
    return dump(message);
  }
  return std::nullopt;
}

void AgentSession::updateSent(bool accepted) {
  if (!updateInFlight_) return;
  updateInFlight_ = false;
  if (accepted) return;
  // Only the last one sent can be the one that failed: later ones wait for it.
  for (auto update = unacknowledgedUpdates_.rbegin(); update != unacknowledgedUpdates_.rend(); ++update) {
    if (update->sent) {
      update->sent = false;
      return;
    }
  }
}

std::string AgentSession::messageCall(const std::string& message) const {
  Json body = call("MESSAGE");
  body["message"] = {{"data", base64(message)}};
  return dump(body);
}

bool AgentSession::acknowledged(const std::string& uuid) const {
  return std::none_of(unacknowledgedUpdates_.begin(), unacknowledgedUpdates_.end(),
                      [&](const Update& update) { return update.uuid == uuid; });
}

}  // namespace executor
