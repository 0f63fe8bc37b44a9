#include "task_lifecycle.hpp"

#include <algorithm>

#include "base64.hpp"
#include "log.hpp"
#include "output_limits.hpp"
#include "task_data.hpp"

namespace executor {
namespace {

using std::chrono::seconds;

// After SHUTDOWN the agent waits for the grace period and no longer: keep this much of it for the report.
constexpr Duration kReportReserve = seconds(1);
constexpr Duration kForceKillRetry = seconds(5);
// Mesos' own fail safe for an agent that never acknowledges.
constexpr Duration kAcknowledgeTimeout = seconds(60);
// Of an agent that ends this executor or its framework: it may not acknowledge at all then.
constexpr Duration kAcknowledgeTimeoutAfterShutdown = seconds(2);

}  // namespace

const char TaskLifecycle::kLaunchFailed[] = "REASON_CONTAINER_LAUNCH_FAILED";
const char TaskLifecycle::kTaskInvalid[] = "REASON_TASK_INVALID";

TaskLifecycle::TaskLifecycle(EventLoop& loop, AgentConnection& agent, SandboxFiles& files, TaskSettings settings,
                             std::function<void()> onFinished)
    : loop_(loop),
      files_(files),
      agent_(agent),
      settings_(std::move(settings)),
      onFinished_(std::move(onFinished)),
      execs_(loop, [&agent](std::string message) { agent.sendMessage(std::move(message)); }) {}

// --- Events

void TaskLifecycle::handle(const Json& event) {
  const std::string type = textOr(event, "type", "", "event");
  if (type == "LAUNCH") {
    launch(member(member(event, "launch", "event"), "task", "launch"));
  } else if (type == "LAUNCH_GROUP") {
    const Json& group = member(member(event, "launch_group", "event"), "task_group", "launch_group");
    for (const Json& task : arrayOf(group, "tasks", "task_group")) {
      refuse(task, "Task groups need an executor that runs several tasks: the " + settings_.executorKind +
                       " executor runs one");
    }
  } else if (type == "KILL") {
    killRequested(member(event, "kill", "event"));
  } else if (type == "SHUTDOWN") {
    shutdown("The agent asks the executor to shut down");
  } else if (type == "ACKNOWLEDGED") {
    checkAcknowledged();
  } else if (type == "MESSAGE") {
    messaged(member(event, "message", "event"));
  } else if (type == "ERROR") {
    logError("The agent reports an error: " + textOr(member(event, "error", "event"), "message", "", "error"));
  }
}

void TaskLifecycle::messaged(const Json& event) {
  try {
    execs_.handle(fromBase64(textOr(event, "data", "", "message")),
                  phase_ == Phase::Running && !killed() ? execCommands() : nullptr);
  } catch (const std::invalid_argument& error) {
    logWarning(std::string("A message of the scheduler is left: ") + error.what());
  }
}

void TaskLifecycle::agentLost(const std::string& reason) {
  if (agentLost_) return;
  agentLost_ = true;
  logError("Stopping, as " + reason);
  if (phase_ == Phase::Reported) {
    cleanUpOnce();
  } else {
    shutdown("The task is stopped");
  }
}

void TaskLifecycle::terminate() {
  const bool again = killed();
  terminated_ = true;
  shutdown("Received SIGTERM");
  if (again) forceKill();
  if (phase_ == Phase::Reported) giveUpOnAcknowledgement();
}

// --- Launch

Json TaskLifecycle::status(const char* state) const {
  Json update = {{"task_id", {{"value", taskId_}}}, {"state", state}};
  addContainerStatus(update);
  return update;
}

void TaskLifecycle::sendRunning(Json update) {
  checks_->addTo(update);
  agent_.sendUpdate(std::move(update));
}

void TaskLifecycle::refuse(const Json& task, const std::string& message) {
  agent_.sendUpdate({{"task_id", member(task, "task_id", "task")}, {"state", "TASK_FAILED"}, {"message", message}});
}

void TaskLifecycle::launch(const Json& task) {
  if (phase_ != Phase::Idle) {
    refuse(task, "Attempted to run multiple tasks using a \"" + settings_.executorKind + "\" executor");
    return;
  }
  task_ = task;
  data_ = taskData(task_);
  taskId_ = idOf(task_, "task_id", "task");
  phase_ = Phase::Starting;
  logInfo("Starting task " + taskId_);
  agent_.sendUpdate(status("TASK_STARTING"));
  attempt([this] {
    execs_.setKey(textOr(data_, "exec_key", "", "task.data"));
    limitOutput();
    limitCompletionTime();
    makeChecks();
    if (settings_.fetch) {
      fetch_ = fetchSecretUris(loop_, data_, *settings_.fetch, files_.err,
                               [this](const std::string& error) { fetched(error); });
    }
    if (!fetch_) begin();
  });
}

void TaskLifecycle::attempt(const std::function<void()>& step) {
  try {
    step();
  } catch (const InvalidField& error) {
    failLaunch(std::string("The task can't be run: ") + error.what(), kTaskInvalid);
  } catch (const std::runtime_error& error) {
    failLaunch(std::string("The task can't be started: ") + error.what(), kLaunchFailed);
  }
}

void TaskLifecycle::fetched(const std::string& error) {
  fetch_.reset();
  if (killed()) {
    reportEnd("", false);
  } else if (!error.empty()) {
    failLaunch("The task's files can't be fetched: " + error, kLaunchFailed);
  } else {
    attempt([this] { begin(); });
  }
}

void TaskLifecycle::limitOutput() {
  // A container logger of the agent's has the variables for itself.
  if (!files_.out.rotatable() && !files_.err.rotatable()) return;
  const OutputLimits limits = outputLimits(settings_.containerLogger);
  files_.out.limit(limits.maxStdoutSize, limits.maxFiles);
  files_.err.limit(limits.maxStderrSize, limits.maxFiles);
}

void TaskLifecycle::limitCompletionTime() {
  const Duration completion = durationOf(member(task_, "max_completion_time", "task"), "max_completion_time");
  if (completion == Duration::zero()) return;
  completionTimer_ = loop_.after(completion, [this, completion] {
    logWarning("Task " + taskId_ + " exceeded its max_completion_time of " + describe(completion));
    kill(KillCause::CompletionTime, Duration::zero());
  });
}

void TaskLifecycle::makeChecks() {
  TaskChecks::Handlers handlers;
  handlers.onNews = [this](const char* reason) {
    Json update = status("TASK_RUNNING");
    update["reason"] = reason;
    sendRunning(std::move(update));
  };
  handlers.onUnhealthy = [this] {
    logWarning("Task " + taskId_ + " failed its health check too often");
    kill(KillCause::Unhealthy, gracePeriod(Json()));
  };
  checks_ = std::make_unique<TaskChecks>(loop_, checkCommands(), task_, std::move(handlers));
}

void TaskLifecycle::running(Json update, pid_t process) {
  phase_ = Phase::Running;
  sendRunning(std::move(update));
  if (ended_) {
    end();
  } else if (killed()) {
    stopRunning();
  } else {
    checks_->start(process);
  }
}

// --- End

void TaskLifecycle::exited(std::optional<int> status) {
  if (ended_) return;
  ended_ = true;
  exitStatus_ = status;
  if (phase_ == Phase::Running) end();
}

void TaskLifecycle::end() {
  phase_ = Phase::Ending;
  checks_->stop();
  endExecs();
  loop_.cancel(completionTimer_);
  loop_.cancel(killTimer_);
  // How it ended is the last line of its output.
  drainOutput([this] {
    if (killed()) {
      reportEnd("", false);
    } else {
      explainEnd();
    }
  });
}

void TaskLifecycle::reportEnd(const std::string& detail, bool outOfMemory) {
  Json update;
  std::string message = describeEnd();
  if (!detail.empty()) message += ": " + detail;
  if (killed_ == KillCause::CompletionTime) {
    update = status("TASK_FAILED");
    update["reason"] = "REASON_MAX_COMPLETION_TIME_REACHED";
  } else if (killed()) {
    update = status("TASK_KILLED");
    if (killed_ == KillCause::Unhealthy) update["healthy"] = false;
  } else if (exitStatus_ == 0) {
    update = status("TASK_FINISHED");
  } else {
    update = status("TASK_FAILED");
    if (outOfMemory) {
      message += ": out of memory";
      update["reason"] = "REASON_CONTAINER_LIMITATION_MEMORY";
      Json exceeded = Json::array();
      for (const Json& resource : arrayOf(task_, "resources", "task")) {
        if (textOr(resource, "name", "", "resource") == "mem") exceeded.push_back(resource);
      }
      update["limitation"]["resources"] = std::move(exceeded);
    }
  }
  update["message"] = message;
  adjustEnd(update);
  report(std::move(update));
}

void TaskLifecycle::failLaunch(const std::string& message, const char* reason) {
  Json update = status("TASK_FAILED");
  update["message"] = message;
  update["reason"] = reason;
  report(std::move(update));
}

void TaskLifecycle::report(Json update) {
  phase_ = Phase::Reported;
  loop_.cancel(completionTimer_);
  loop_.cancel(killTimer_);
  logInfo("Task " + taskId_ + ": " + textOr(update, "state", "", "status") + ": " +
          textOr(update, "message", "", "status"));
  terminalUpdate_ = agent_.sendUpdate(update);
  reported(update);
  if (agentLost_) {
    cleanUpOnce();
  } else {
    giveUpOnAcknowledgement();
  }
}

void TaskLifecycle::giveUpOnAcknowledgement() {
  const bool unwanted = terminated_ || killed_ == KillCause::Shutdown;
  loop_.cancel(acknowledgeTimer_);
  acknowledgeTimer_ = loop_.after(unwanted ? kAcknowledgeTimeoutAfterShutdown : kAcknowledgeTimeout, [this, unwanted] {
    // While the agent is away the end of the task is worth waiting for: until the recovery timeout.
    if (!unwanted && !agent_.session().subscribed()) {
      giveUpOnAcknowledgement();
      return;
    }
    logWarning("The agent does not acknowledge the end of task " + taskId_);
    cleanUpOnce();
  });
}

void TaskLifecycle::checkAcknowledged() {
  if (phase_ == Phase::Reported && agent_.session().acknowledged(terminalUpdate_)) cleanUpOnce();
}

void TaskLifecycle::cleanUpOnce() {
  if (phase_ == Phase::CleaningUp || phase_ == Phase::Finished) return;
  phase_ = Phase::CleaningUp;
  loop_.cancel(acknowledgeTimer_);
  cleanUp();
}

void TaskLifecycle::finish() {
  phase_ = Phase::Finished;
  onFinished_();
}

// --- Kill

void TaskLifecycle::killRequested(const Json& request) {
  const std::string id = idOf(request, "task_id", "kill");
  if (phase_ == Phase::Idle || id != taskId_) {
    logWarning("Ignoring the kill of task '" + id + "', which does not run here");
    return;
  }
  const Duration grace = gracePeriod(request);
  logInfo("Killing task " + taskId_ + ", with a grace period of " + describe(grace));
  kill(KillCause::Request, grace);
}

// That of the kill itself, else of the task, else the agent's.
Duration TaskLifecycle::gracePeriod(const Json& killRequest) const {
  for (const Json* holder : {&killRequest, &task_}) {
    const Json& period = member(member(*holder, "kill_policy"), "grace_period");
    if (!period.is_null()) return durationOf(period, "kill_policy.grace_period");
  }
  return settings_.killGracePeriod;
}

void TaskLifecycle::endWithGroup() {
  if (killed() || phase_ == Phase::Idle) return;
  logInfo("Killing task " + taskId_ + " with its group");
  kill(KillCause::Request, gracePeriod(Json()));
}

void TaskLifecycle::shutdown(const std::string& why) {
  logInfo(why);
  if (phase_ == Phase::Idle) {
    cleanUpOnce();
    return;
  }
  kill(KillCause::Shutdown, std::max(settings_.shutdownGracePeriod - kReportReserve,
                                     settings_.shutdownGracePeriod / 2));
}

void TaskLifecycle::kill(KillCause cause, Duration grace) {
  if (phase_ > Phase::Running || ended_) return;
  const Clock::time_point deadline = Clock::now() + std::min<Duration>(grace, std::chrono::hours(24 * 365));
  if (killed()) {
    // A kill that hurries more than the one under way counts, one that hurries less does not.
    if (deadline >= killDeadline_) return;
    killDeadline_ = deadline;
    loop_.cancel(killTimer_);
    killTimer_ = loop_.after(deadline - Clock::now(), [this] { forceKill(); });
    return;
  }
  killed_ = cause;
  killDeadline_ = deadline;
  loop_.cancel(completionTimer_);
  if (checks_) checks_->stop();
  if (cause != KillCause::CompletionTime && agent_.session().frameworkHasCapability("TASK_KILLING_STATE")) {
    agent_.sendUpdate(status("TASK_KILLING"));
  }
  killTimer_ = loop_.after(grace, [this] { forceKill(); });
  if (fetch_) {
    fetch_->kill();
  } else if (phase_ == Phase::Starting) {
    cancelStart();
  } else {
    stopRunning();
  }
}

void TaskLifecycle::stopRunning() {
  const Duration left = std::max(killDeadline_ - Clock::now(), Duration::zero());
  loop_.cancel(killTimer_);
  killTimer_ = loop_.after(left, [this] { forceKill(); });
  stop(left);
}

void TaskLifecycle::forceKill() {
  loop_.cancel(killTimer_);
  if (ended_ || phase_ > Phase::Running) return;
  killNow();
  if (phase_ == Phase::Running) killTimer_ = loop_.after(kForceKillRetry, [this] { forceKill(); });
}

}  // namespace executor
