#include "docker_task.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

#include "base64.hpp"
#include "kernel_log.hpp"
#include "log.hpp"
#include "network_info.hpp"

namespace executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kEngineRetry = milliseconds(500);
// How long output may lag behind the container's end, and how long a removal may take before the guard gets it.
constexpr Duration kOutputTimeout = seconds(2);
constexpr Duration kRemovalTimeout = seconds(30);
// Docker can miss the end of a container (moby issue 33820): believe the kernel after this long.
constexpr Duration kMissedEndTimeout = seconds(60);

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

DockerTask::DockerTask(EventLoop& loop, Engine& engine, AgentConnection& agent, Guard& guard, SandboxFiles& files,
                       DockerSettings docker, TaskSettings settings, std::function<void()> onFinished)
    : TaskLifecycle(loop, agent, files, std::move(settings), std::move(onFinished)),
      engine_(engine),
      guard_(guard),
      docker_(std::move(docker)),
      // What a check prints helps whoever reads the sandbox; it is not the task's output, so it goes to stderr.
      checks_(loop, engine, files.err),
      execs_(loop, engine, files),
      output_(loop, engine, files),
      container_(docker_.create.containerName) {}

DockerTask::~DockerTask() {
  if (process_) loop_.unwatch(process_.get());
}

void DockerTask::addContainerStatus(Json& update) const {
  // Without it the agent fills in its own address.
  if (networkInfo_) update["container_status"]["network_infos"] = Json::array({*networkInfo_});
}

// --- Start

void DockerTask::begin() {
  secrets_ = secretsOf(task(), data());
  const CreateArguments arguments = createArguments(task(), secrets_, docker_.create);
  for (const std::string& note : arguments.notes) logWarning(note);
  std::vector<std::string> command{docker_.program, "-H", "unix://" + docker_.socket, "create"};
  command.insert(command.end(), arguments.arguments.begin(), arguments.arguments.end());
  guard_.containerMayComeToBe();
  containerMayExist_ = true;
  creation_ = Child::program(loop_, command.front(), command, arguments.environment,
                             [this](const ChildResult& result) { created(result); });
}

void DockerTask::created(const ChildResult& result) {
  creation_.reset();
  const std::string errors = trimmed(result.errors);
  if (!errors.empty()) logWarning("docker create: " + errors);
  const bool succeeded = WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0;
  creationAborted_ = WIFSIGNALED(result.status);
  if (killed()) {
    reportEnd("", false);
  } else if (!succeeded) {
    failLaunch("Failed to create the container: " + dockersMessage(result.errors), kLaunchFailed);
  } else {
    const std::string output = trimmed(result.output);
    container_ = output.substr(output.rfind('\n') + 1);
    checks_.setContainer(container_);
    execs_.setContainer(container_);
    guard_.containerExists();
    arm();
  }
}

// Everything that must be in place before the container may run: who follows its output and who notices its end.
void DockerTask::arm() {
  step_ = Step::Arming;
  unarmed_ = 3;
  engine_.inspect(container_, [this](const HttpResponse& response) { inspectedBeforeStart(response); });
  output_.attach(container_, [this](const std::string& error) { armed("attaching to it", error); });
  watchForEnd("next-exit");
}

void DockerTask::inspectedBeforeStart(const HttpResponse& response) {
  if (!at(Step::Arming)) return;
  if (!response.ok()) {
    armed("inspecting it", enginesMessage(response));
    return;
  }
  const Json inspected = parseJson(response.body, "inspect");
  const Json& config = member(inspected, "Config");
  const bool terminal = boolOr(config, "Tty", false, "Config");
  output_.setTerminal(terminal);
  execs_.setInput(boolOr(config, "OpenStdin", false, "Config"), terminal);
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

void DockerTask::armed(const std::string& what, const std::string& error) {
  if (!at(Step::Arming)) return;
  if (!error.empty()) {
    failLaunch("Failed to start the container: " + what + ": " + error, kLaunchFailed);
  } else if (--unarmed_ == 0) {
    start();
  }
}

void DockerTask::start() {
  step_ = Step::Starting;
  engine_.start(container_, [this](const HttpResponse& response) { started(response); });
}

void DockerTask::started(const HttpResponse& response) {
  // 304: started already. No answer: it may or may not have been, which confirm() finds out.
  if (response.ok() || response.status == 304 || response.status == 0) {
    confirm();
  } else {
    failLaunch("Failed to start the container: " + enginesMessage(response), kLaunchFailed);
  }
}

void DockerTask::confirm() {
  step_ = Step::Confirming;
  engine_.inspect(container_, [this](const HttpResponse& response) { confirmed(response); });
}

void DockerTask::confirmed(const HttpResponse& response) {
  if (response.ok()) {
    const Json inspected = parseJson(response.body, "inspect");
    if (hasStarted(inspected)) {
      seenRunning(inspected, response.body);
    } else {
      start();  // the engine died before it came to that
    }
  } else if (response.status == 404 && ended()) {
    seenRunning(Json(), "");  // ended and removed by the engine already (option --rm)
  } else if (response.status == 404) {
    failLaunch("The container is gone before it was seen running", kLaunchFailed);
  } else {
    logWarning("Waiting for the Docker Engine: " + enginesMessage(response));
    retryTimer_ = loop_.after(kEngineRetry, [this] { confirm(); });
  }
}

void DockerTask::seenRunning(const Json& inspected, const std::string& document) {
  networkInfo_ = networkInfoOf(task(), inspected);
  Json update = status("TASK_RUNNING");
  // Mesos' docker executor hands on what `docker inspect` prints: a list of one.
  if (!document.empty()) {
    const std::string shown = secrets_.empty() ? trimmed(document) : dump(withoutSecrets(inspected, secrets_));
    update["data"] = base64("[" + shown + "]");
  }
  logInfo("Container " + container_ + " is running");

  const auto process = static_cast<pid_t>(integerOr(member(inspected, "State"), "Pid", 0, "State"));
  if (!ended()) {
    const Json& window = member(member(member(task(), "container"), "tty_info"), "window_size");
    if (!window.is_null()) {
      engine_.resize(container_, integerOr(window, "rows", 24, "window_size"),
                     integerOr(window, "columns", 80, "window_size"), nullptr);
    }
    watchProcess(process);
  }
  running(std::move(update), process);
}

// --- The container's end

void DockerTask::watchForEnd(const std::string& condition) {
  HttpHandlers handlers;
  handlers.onHeaders = [this](const HttpResponse& response) {
    if (response.ok()) armed("waiting for its end", "");
  };
  handlers.onDone = [this](const HttpResponse& response) { waitDone(response); };
  wait_ = engine_.wait(container_, condition, std::move(handlers));
}

void DockerTask::waitDone(const HttpResponse& response) {
  wait_.reset();
  if (at(Step::Arming)) {
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
void DockerTask::findAgain() {
  if (ended() || phase() > Phase::Running) return;
  engine_.inspect(container_, [this](const HttpResponse& response) { foundAgain(response); });
}

void DockerTask::foundAgain(const HttpResponse& response) {
  if (ended() || phase() > Phase::Running) return;
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

void DockerTask::watchProcess(pid_t pid) {
  if (pid <= 0) return;
  process_ = FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process_) return;  // kernels before 5.3, or ended already: the engine alone tells
  oomCounter_ = OomCounter::of(pid);
  loop_.watch(process_.get(), POLLIN, [this] {
    loop_.unwatch(process_.get());
    process_.close();
    outOfMemory_ = oomCounter_.hasKilled();
    processTimer_ = loop_.after(kMissedEndTimeout, [this] {
      if (ended()) return;
      logWarning("The container's process has ended, but the Docker Engine has not noticed");
      exited(std::nullopt);
    });
  });
}

void DockerTask::drainOutput(std::function<void()> done) {
  const auto once = [this, done = std::move(done)] {
    loop_.cancel(outputTimer_);
    output_.onComplete(nullptr);
    done();
  };
  if (output_.complete()) return once();
  output_.onComplete(once);
  outputTimer_ = loop_.after(kOutputTimeout, once);
}

void DockerTask::explainEnd() {
  loop_.cancel(processTimer_);
  engine_.inspect(container_, [this](const HttpResponse& response) {
    std::string error;
    if (response.ok()) {
      const Json inspected = parseJson(response.body, "inspect");
      const Json& state = member(inspected, "State");
      outOfMemory_ = outOfMemory_ || boolOr(state, "OOMKilled", false, "State");
      error = textOr(state, "Error", "", "State");
    }
    if (exitStatus() != 0 && !outOfMemory_) outOfMemory_ = kernelLogTellsOutOfMemory(container_);
    reportEnd(error, outOfMemory_);
  });
}

std::string DockerTask::describeEnd() const {
  if (exitStatus()) return "Container exited with status " + std::to_string(*exitStatus());
  return ended() ? "Failed to get exit status of container" : "Container was not started";
}

// --- After the end

void DockerTask::cleanUp() {
  removalDeadline_ = Clock::now() + kRemovalTimeout;
  if (!containerMayExist_) {
    guard_.release();
    finish();
  } else {
    removeContainer();
  }
}

void DockerTask::removeContainer() {
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

// --- Kill

void DockerTask::cancelStart() {
  if (step_ != Step::Arming) return;  // the step under way ends first and finds killed()
  wait_.reset();
  reportEnd("", false);
}

void DockerTask::stop(Duration grace) {
  engine_.stop(container_, std::chrono::ceil<seconds>(grace).count(), [](const HttpResponse& response) {
    if (!response.ok() && response.status != 304 && response.status != 404) {
      logWarning("docker stop: " + enginesMessage(response));
    }
  });
}

// The grace period is over. Docker does the same by itself, but in whole seconds, and not when its stop hangs.
void DockerTask::killNow() {
  if (at(Step::Creating) && creation_) {
    creation_->kill();
  } else if (phase() == Phase::Running) {
    engine_.kill(container_, nullptr);
  }
}

}  // namespace executor
