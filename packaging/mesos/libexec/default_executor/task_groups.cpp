#include "task_groups.hpp"

#include "log.hpp"

namespace executor {

TaskGroups::TaskGroups(EventLoop& loop, AgentConnection& agent, AgentCalls& calls, SandboxFiles& files,
                       TaskSettings settings, std::string address, std::function<void()> onFinished)
    : loop_(loop),
      agent_(agent),
      calls_(calls),
      files_(files),
      settings_(std::move(settings)),
      address_(std::move(address)),
      onFinished_(std::move(onFinished)) {}

void TaskGroups::handle(const Json& event) {
  const std::string type = textOr(event, "type", "", "event");
  if (type == "SUBSCRIBED") {
    container_ = member(member(event, "subscribed", "event"), "container_id", "subscribed");
  } else if (type == "LAUNCH_GROUP") {
    launch(member(member(event, "launch_group", "event"), "task_group", "launch_group"));
  } else if (type == "LAUNCH") {
    refuse(member(member(event, "launch", "event"), "task", "launch"));
  } else if (type == "KILL") {
    const std::string id = idOf(member(event, "kill", "event"), "task_id", "kill");
    const auto found = tasks_.find(id);
    if (found == tasks_.end()) {
      logWarning("Ignoring the kill of task '" + id + "', which does not run here");
    } else {
      found->second.task->handle(event);
    }
  } else if (type == "SHUTDOWN" || type == "ACKNOWLEDGED") {
    for (const auto& [id, one] : tasks_) one.task->handle(event);
    finishWithoutTasks();
  } else if (type == "ERROR") {
    logError("The agent reports an error: " + textOr(member(event, "error", "event"), "message", "", "error"));
  }
}

void TaskGroups::agentLost(const std::string& reason) {
  logError("Ending, as " + reason);
  onFinished_();
}

void TaskGroups::terminate() {
  for (const auto& [id, one] : tasks_) one.task->terminate();
  finishWithoutTasks();
}

void TaskGroups::launch(const Json& group) {
  const unsigned number = ++groups_;
  for (const Json& task : arrayOf(group, "tasks", "task_group")) {
    const std::string id = idOf(task, "task_id", "task");
    PodTask::Handlers handlers;
    handlers.onEnded = [this, number](const std::string& state) { ended(number, state); };
    handlers.onFinished = [this, id, number] { forget(id, number); };
    auto made = std::make_unique<PodTask>(loop_, agent_, calls_, files_, settings_, container_, address_,
                                          std::move(handlers));
    PodTask& added = *made;
    tasks_[id] = {std::move(made), number};
    added.launch(task);
  }
}

void TaskGroups::refuse(const Json& task) {
  agent_.sendUpdate({{"task_id", member(task, "task_id", "task")},
                     {"state", "TASK_FAILED"},
                     {"message", "The default executor runs tasks in groups: LAUNCH_GROUP"}});
}

// Those of its group can't do without a task that has failed or was killed.
void TaskGroups::ended(unsigned group, const std::string& state) {
  if (state == "TASK_FINISHED") return;
  // Once the rest of the group is launched, and never from inside of one of its tasks.
  loop_.after(Duration::zero(), [this, group] {
    for (const auto& [id, one] : tasks_) {
      if (one.group == group) one.task->endWithGroup();
    }
  });
}

void TaskGroups::forget(const std::string& taskId, unsigned group) {
  loop_.after(Duration::zero(), [this, taskId, group] {
    const auto found = tasks_.find(taskId);
    if (found != tasks_.end() && found->second.group == group) tasks_.erase(found);  // another one may have its id
    finishWithoutTasks();
  });
}

void TaskGroups::finishWithoutTasks() {
  if (tasks_.empty()) onFinished_();
}

}  // namespace executor
