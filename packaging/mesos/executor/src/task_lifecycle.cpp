#include "task_lifecycle.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

#include "base64.hpp"
#include "kernel_log.hpp"
#include "log.hpp"
#include "network_info.hpp"
#include "output_limits.hpp"

namespace executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kEngineRetry = milliseconds(500);
// After SHUTDOWN the agent waits for the grace period and no longer: keep this much of it for the report.
constexpr Duration kReportReserve = seconds(1);
constexpr Duration kForceKillRetry = seconds(5);
// Mesos' own fail safe for an agent that never acknowledges.
constexpr Duration kAcknowledgeTimeout = seconds(60);
// Of an agent that ends this executor or its framework: it may not acknowledge at all then.
constexpr Duration kAcknowledgeTimeoutAfterShutdown = seconds(2);
// How long output may lag behind the container's end, and how long a removal may take before the guard gets it.
constexpr Duration kOutputTimeout = seconds(2);
constexpr Duration kRemovalTimeout = seconds(30);
// Docker can miss the end of a container (moby issue 33820): believe the kernel after this long.
constexpr Duration kMissedEndTimeout = seconds(60);

const char kLaunchFailed[] = "REASON_CONTAINER_LAUNCH_FAILED";
const char kTaskInvalid[] = "REASON_TASK_INVALID";

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

// Docker's own words; without the hint to its manual and the prefix of its program.
std::string dockersMessage(const std::string& errors) {
  std::string message = trimmed(errors);
  for (const char* hint : {"\nSee 'docker ", "\nRun 'docker ", "\nUsage:"}) {
    message = trimmed(message.substr(0, message.find(hint)));
  }
  return message.empty() ? "docker create failed without a message" : message;
}

// {"message": "..."} of an engine's error, or whatever it sent.
std::string enginesMessage(const HttpResponse& response) {
  if (response.status == 0) return response.error;
  try {
    return textOr(parseJson(response.body, "answer"), "message", response.describe(), "answer");
  } catch (const InvalidField&) {
    return response.describe();
  }
}

bool hasStarted(const Json& inspected) {
  const std::string startedAt = textOr(member(inspected, "State"), "StartedAt", "", "State");
  return !startedAt.empty() && startedAt.compare(0, 4, "0001") != 0;
}

}  // namespace

TaskLifecycle::TaskLifecycle(EventLoop& loop, Engine& engine, AgentConnection& agent, Guard& guard,
                             SandboxFiles& files, TaskSettings settings, std::function<void()> onFinished)
    : loop_(loop),
      engine_(engine),
      agent_(agent),
      guard_(guard),
      files_(files),
      settings_(std::move(settings)),
      onFinished_(std::move(onFinished)),
      container_(settings_.create.containerName),
      output_(loop, engine, files) {}

TaskLifecycle::~TaskLifecycle() {
  if (process_) loop_.unwatch(process_.get());
}

// --- Events

void TaskLifecycle::handle(const Json& event) {
  const std::string type = textOr(event, "type", "", "event");
  if (type == "LAUNCH") {
    launch(member(member(event, "launch", "event"), "task", "launch"));
  } else if (type == "LAUNCH_GROUP") {
    const Json& group = member(member(event, "launch_group", "event"), "task_group", "launch_group");
    for (const Json& task : arrayOf(group, "tasks", "task_group")) {
      refuse(task, "Task groups need an executor that runs several tasks: the docker executor runs one");
    }
  } else if (type == "KILL") {
    killRequested(member(event, "kill", "event"));
  } else if (type == "SHUTDOWN") {
    shutdown("The agent asks the executor to shut down");
  } else if (type == "ACKNOWLEDGED") {
    checkAcknowledged();
  } else if (type == "ERROR") {
    logError("The agent reports an error: " + textOr(member(event, "error", "event"), "message", "", "error"));
  }
}

void TaskLifecycle::agentLost(const std::string& reason) {
  if (agentLost_) return;
  agentLost_ = true;
  logError("Stopping, as " + reason);
  if (phase_ == Phase::Reported) {
    remove();
  } else {
    shutdown("The container is stopped");
  }
}

void TaskLifecycle::terminate() {
  const bool again = killed_.has_value();
  terminated_ = true;
  shutdown("Received SIGTERM");
  if (again) forceKill();
  if (phase_ == Phase::Reported) giveUpOnAcknowledgement();
}

// --- Launch

Json TaskLifecycle::status(const char* state) const {
  Json update = {{"task_id", {{"value", taskId_}}}, {"state", state}};
  // Without it the agent fills in its own address.
  if (networkInfo_) update["container_status"]["network_infos"] = Json::array({*networkInfo_});
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
    refuse(task, "Attempted to run multiple tasks using a \"docker\" executor");
    return;
  }
  task_ = task;
  taskId_ = idOf(task_, "task_id", "task");
  phase_ = Phase::Creating;
  logInfo("Starting task " + taskId_ + " as container " + container_);
  agent_.sendUpdate(status("TASK_STARTING"));
  try {
    limitOutput();
    const Duration completion = durationOf(member(task_, "max_completion_time", "task"), "max_completion_time");
    if (completion > Duration::zero()) {
      completionTimer_ = loop_.after(completion, [this, completion] {
        logWarning("The task exceeded its max_completion_time of " + describe(completion));
        kill(KillCause::CompletionTime, Duration::zero());
      });
    }
    // What a check prints helps whoever reads the sandbox; it is not the task's output, so it goes to stderr.
    checks_ = std::make_unique<TaskChecks>(
        loop_, engine_, files_.err, task_,
        TaskChecks::Handlers{[this](const char* reason) {
                               Json update = status("TASK_RUNNING");
                               update["reason"] = reason;
                               sendRunning(std::move(update));
                             },
                             [this] {
                               logWarning("The task failed its health check too often");
                               kill(KillCause::Unhealthy, gracePeriod(Json()));
                             }});
    create(createArguments(task_, settings_.create));
  } catch (const InvalidField& error) {
    failLaunch(std::string("The task can't be run: ") + error.what(), kTaskInvalid);
  } catch (const std::runtime_error& error) {
    failLaunch(std::string("The container can't be created: ") + error.what(), kLaunchFailed);
  }
}

void TaskLifecycle::limitOutput() {
  // A container logger of the agent's has the variables for itself.
  if (!files_.out.rotatable() && !files_.err.rotatable()) return;
  const OutputLimits limits = outputLimits(settings_.containerLogger);
  files_.out.limit(limits.maxStdoutSize, limits.maxFiles);
  files_.err.limit(limits.maxStderrSize, limits.maxFiles);
}

void TaskLifecycle::create(const CreateArguments& arguments) {
  for (const std::string& note : arguments.notes) logWarning(note);
  std::vector<std::string> command{settings_.dockerProgram, "-H", "unix://" + settings_.dockerSocket, "create"};
  command.insert(command.end(), arguments.arguments.begin(), arguments.arguments.end());
  guard_.containerMayComeToBe();
  containerMayExist_ = true;
  creation_ = Child::program(loop_, command, arguments.environment, [this](const ChildResult& result) { created(result); });
}

void TaskLifecycle::created(const ChildResult& result) {
  creation_.reset();
  const std::string errors = trimmed(result.errors);
  if (!errors.empty()) logWarning("docker create: " + errors);
  const bool succeeded = WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0;
  creationAborted_ = WIFSIGNALED(result.status);
  if (killed_) {
    reportEnd("");
  } else if (!succeeded) {
    failLaunch("Failed to create the container: " + dockersMessage(result.errors), kLaunchFailed);
  } else {
    const std::string output = trimmed(result.output);
    container_ = output.substr(output.rfind('\n') + 1);
    guard_.containerExists();
    arm();
  }
}

// Everything that must be in place before the container may run: who follows its output and who notices its end.
void TaskLifecycle::arm() {
  phase_ = Phase::Arming;
  unarmed_ = 3;
  engine_.inspect(container_, [this](const HttpResponse& response) { inspectedBeforeStart(response); });
  output_.attach(container_, [this](const std::string& error) { armed("attaching to it", error); });
  watchForEnd("next-exit");
}

void TaskLifecycle::inspectedBeforeStart(const HttpResponse& response) {
  if (phase_ != Phase::Arming) return;
  if (!response.ok()) {
    armed("inspecting it", enginesMessage(response));
    return;
  }
  const Json inspected = parseJson(response.body, "inspect");
  output_.setTerminal(boolOr(member(inspected, "Config"), "Tty", false, "Config"));
  const Json& restarts = member(member(inspected, "HostConfig"), "RestartPolicy");
  const std::string policy = textOr(restarts, "Name", "", "RestartPolicy");
  if (policy.empty() || policy == "no") {
    armed("inspecting it", "");
    return;
  }
  // Docker would start it again behind the scheduler's back: after its end, and with the engine at the next boot.
  logWarning("The restart policy '" + policy + "' is taken back: a task's container runs once");
  engine_.neverRestart(container_, [this](const HttpResponse& updated) {
    armed("taking back its restart policy", updated.ok() ? "" : enginesMessage(updated));
  });
}

void TaskLifecycle::armed(const std::string& what, const std::string& error) {
  if (phase_ != Phase::Arming) return;
  if (!error.empty()) {
    failLaunch("Failed to start the container: " + what + ": " + error, kLaunchFailed);
  } else if (--unarmed_ == 0) {
    start();
  }
}

void TaskLifecycle::start() {
  phase_ = Phase::Starting;
  engine_.start(container_, [this](const HttpResponse& response) { started(response); });
}

void TaskLifecycle::started(const HttpResponse& response) {
  // 304: started already. No answer: it may or may not have been, which confirm() finds out.
  if (response.ok() || response.status == 304 || response.status == 0) {
    confirm();
  } else {
    failLaunch("Failed to start the container: " + enginesMessage(response), kLaunchFailed);
  }
}

void TaskLifecycle::confirm() {
  phase_ = Phase::Confirming;
  engine_.inspect(container_, [this](const HttpResponse& response) { confirmed(response); });
}

void TaskLifecycle::confirmed(const HttpResponse& response) {
  if (response.ok()) {
    const Json inspected = parseJson(response.body, "inspect");
    if (hasStarted(inspected)) {
      running(inspected, response.body);
    } else {
      start();  // the engine died before it came to that
    }
  } else if (response.status == 404 && ended_) {
    running(Json(), "");  // ended and removed by the engine already (option --rm)
  } else if (response.status == 404) {
    failLaunch("The container is gone before it was seen running", kLaunchFailed);
  } else {
    logWarning("Waiting for the Docker Engine: " + enginesMessage(response));
    retryTimer_ = loop_.after(kEngineRetry, [this] { confirm(); });
  }
}

void TaskLifecycle::running(const Json& inspected, const std::string& document) {
  phase_ = Phase::Running;
  networkInfo_ = networkInfoOf(task_, inspected);
  Json update = status("TASK_RUNNING");
  // Mesos' docker executor hands on what `docker inspect` prints: a list of one.
  if (!document.empty()) {
    const Secrets secrets = secretsOf(task_);
    const std::string shown = secrets.empty() ? trimmed(document) : dump(withoutSecrets(inspected, secrets));
    update["data"] = base64("[" + shown + "]");
  }
  sendRunning(std::move(update));
  logInfo("Container " + container_ + " is running");

  if (ended_) {
    end();
    return;
  }
  const Json& window = member(member(member(task_, "container"), "tty_info"), "window_size");
  if (!window.is_null()) {
    engine_.resize(container_, integerOr(window, "rows", 24, "window_size"),
                   integerOr(window, "columns", 80, "window_size"), nullptr);
  }
  const auto process = static_cast<pid_t>(integerOr(member(inspected, "State"), "Pid", 0, "State"));
  watchProcess(process);
  if (killed_) {
    stop();
  } else {
    checks_->start(container_, process);
  }
}

// --- The container's end

void TaskLifecycle::watchForEnd(const std::string& condition) {
  HttpHandlers handlers;
  handlers.onHeaders = [this](const HttpResponse& response) {
    if (response.ok()) armed("waiting for its end", "");
  };
  handlers.onDone = [this](const HttpResponse& response) { waitDone(response); };
  wait_ = engine_.wait(container_, condition, std::move(handlers));
}

void TaskLifecycle::waitDone(const HttpResponse& response) {
  wait_.reset();
  if (phase_ == Phase::Arming) {
    armed("waiting for its end", response.describe());
    return;
  }
  if (response.ok()) {
    try {
      const Json answer = parseJson(response.body, "the Docker Engine's answer");
      exited(static_cast<int>(integerOr(answer, "StatusCode", -1, "wait")));
      return;
    } catch (const InvalidField& error) {
      logWarning(error.what());
    }
  } else {
    logWarning("The Docker Engine is gone (" + response.describe() + "): looking for the container again");
  }
  findAgain();
}

// The engine was restarted (with live-restore the container goes on meanwhile) or lost the container.
void TaskLifecycle::findAgain() {
  if (ended_ || phase_ > Phase::Running) return;
  engine_.inspect(container_, [this](const HttpResponse& response) { foundAgain(response); });
}

void TaskLifecycle::foundAgain(const HttpResponse& response) {
  if (ended_ || phase_ > Phase::Running) return;
  if (response.status == 404) {
    exited(std::nullopt);
    return;
  }
  if (response.ok()) {
    const Json inspected = parseJson(response.body, "inspect");
    const Json& state = member(inspected, "State");
    if (!hasStarted(inspected) || boolOr(state, "Running", false, "State")) {
      if (output_.complete()) {
        output_.attach(container_, [](const std::string& error) {
          if (!error.empty()) logWarning("The container's output is lost from here on: " + error);
        });
      }
      watchForEnd(hasStarted(inspected) ? "not-running" : "next-exit");
    } else {
      exited(static_cast<int>(integerOr(state, "ExitCode", -1, "State")));
    }
    return;
  }
  loop_.after(kEngineRetry, [this] { findAgain(); });
}

void TaskLifecycle::watchProcess(pid_t pid) {
  if (pid <= 0) return;
  process_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process_) return;  // kernels before 5.3, or ended already: the engine alone tells
  oomCounter_ = OomCounter::of(pid);
  loop_.watch(process_.get(), POLLIN, [this] {
    loop_.unwatch(process_.get());
    process_.close();
    outOfMemory_ = oomCounter_.hasKilled();
    processTimer_ = loop_.after(kMissedEndTimeout, [this] {
      if (ended_) return;
      logWarning("The container's process has ended, but the Docker Engine has not noticed");
      exited(std::nullopt);
    });
  });
}

void TaskLifecycle::exited(std::optional<int> status) {
  if (ended_) return;
  ended_ = true;
  exitStatus_ = status;
  if (phase_ == Phase::Running) end();
}

void TaskLifecycle::end() {
  phase_ = Phase::Ending;
  checks_->stop();
  loop_.cancel(completionTimer_);
  loop_.cancel(killTimer_);
  loop_.cancel(processTimer_);
  if (killed_) {
    reportEnd("");
    return;
  }
  engine_.inspect(container_, [this](const HttpResponse& response) {
    std::string error;
    if (response.ok()) {
      const Json inspected = parseJson(response.body, "inspect");
      const Json& state = member(inspected, "State");
      outOfMemory_ = outOfMemory_ || boolOr(state, "OOMKilled", false, "State");
      error = textOr(state, "Error", "", "State");
    }
    if (exitStatus_ != 0 && !outOfMemory_) outOfMemory_ = kernelLogTellsOutOfMemory(container_);
    reportEnd(error);
  });
}

void TaskLifecycle::reportEnd(const std::string& engineError) {
  Json update;
  std::string message = exitStatus_ ? "Container exited with status " + std::to_string(*exitStatus_)
                        : ended_    ? "Failed to get exit status of container"
                                    : "Container was not started";
  if (!engineError.empty()) message += ": " + engineError;
  if (killed_ == KillCause::CompletionTime) {
    update = status("TASK_FAILED");
    update["reason"] = "REASON_MAX_COMPLETION_TIME_REACHED";
  } else if (killed_) {
    update = status("TASK_KILLED");
    if (killed_ == KillCause::Unhealthy) update["healthy"] = false;
  } else if (exitStatus_ == 0) {
    update = status("TASK_FINISHED");
  } else {
    update = status("TASK_FAILED");
    if (outOfMemory_) {
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
  logInfo(textOr(update, "state", "", "status") + ": " + textOr(update, "message", "", "status"));
  terminalUpdate_ = agent_.sendUpdate(std::move(update));
  if (agentLost_) {
    remove();
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
    logWarning("The agent does not acknowledge the end of the task");
    remove();
  });
}

void TaskLifecycle::checkAcknowledged() {
  if (phase_ == Phase::Reported && agent_.session().acknowledged(terminalUpdate_)) remove();
}

// --- After the end

void TaskLifecycle::remove() {
  if (phase_ == Phase::Removing || phase_ == Phase::Finished) return;
  phase_ = Phase::Removing;
  loop_.cancel(acknowledgeTimer_);
  removalDeadline_ = Clock::now() + kRemovalTimeout;
  if (!containerMayExist_) {
    finish();
  } else if (output_.complete() || !ended_) {
    removeContainer();
  } else {
    const Clock::time_point latest = Clock::now() + kOutputTimeout;
    const auto poll = [this, latest](const auto& self) -> void {
      if (output_.complete() || Clock::now() >= latest) {
        removeContainer();
      } else {
        loop_.after(milliseconds(10), [self] { self(self); });
      }
    };
    poll(poll);
  }
}

void TaskLifecycle::removeContainer() {
  engine_.remove(container_, [this](const HttpResponse& response) {
    if (response.status == 404 || response.ok()) {
      if (!creationAborted_) guard_.release();
      finish();
    } else if (Clock::now() >= removalDeadline_) {
      logError("Container " + container_ + " can't be removed, its guard will go on: " + enginesMessage(response));
      finish();
    } else {
      loop_.after(kEngineRetry, [this] { removeContainer(); });
    }
  });
}

void TaskLifecycle::finish() {
  if (!containerMayExist_) guard_.release();
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
  logInfo("Killing the task, with a grace period of " + describe(grace));
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

void TaskLifecycle::shutdown(const std::string& why) {
  logInfo(why);
  if (phase_ == Phase::Idle) {
    remove();
    return;
  }
  kill(KillCause::Shutdown, std::max(settings_.shutdownGracePeriod - kReportReserve,
                                     settings_.shutdownGracePeriod / 2));
}

void TaskLifecycle::kill(KillCause cause, Duration grace) {
  if (phase_ > Phase::Running || ended_) return;
  const Clock::time_point deadline = Clock::now() + std::min<Duration>(grace, std::chrono::hours(24 * 365));
  if (killed_) {
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
  if (phase_ == Phase::Arming) {
    wait_.reset();
    reportEnd("");
  } else if (phase_ == Phase::Running) {
    stop();
  }
  // Otherwise the step under way ends first and finds killed_.
}

void TaskLifecycle::stop() {
  const Duration left = std::max(killDeadline_ - Clock::now(), Duration::zero());
  loop_.cancel(killTimer_);
  killTimer_ = loop_.after(left, [this] { forceKill(); });
  engine_.stop(container_, std::chrono::ceil<seconds>(left).count(), [](const HttpResponse& response) {
    if (!response.ok() && response.status != 304 && response.status != 404) {
      logWarning("docker stop: " + enginesMessage(response));
    }
  });
}

// The grace period is over. Docker does the same by itself, but in whole seconds, and not when its stop hangs.
void TaskLifecycle::forceKill() {
  loop_.cancel(killTimer_);
  if (ended_) return;
  if (phase_ == Phase::Creating && creation_) {
    creation_->kill();
  } else if (phase_ == Phase::Running) {
    engine_.kill(container_, nullptr);
    killTimer_ = loop_.after(kForceKillRetry, [this] { forceKill(); });
  }
}

}  // namespace executor
