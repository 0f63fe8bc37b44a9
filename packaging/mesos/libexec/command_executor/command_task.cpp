#include "command_task.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "log.hpp"
#include "pipe.hpp"
#include "process_tree.hpp"
#include "user.hpp"
#include "wait_status.hpp"

namespace executor {
namespace {

constexpr Duration kLookAtRest = std::chrono::milliseconds(50);
constexpr Duration kLongestDeath = std::chrono::seconds(5);

const std::string kOfContainerizer = "MESOS_CONTAINERIZER_";

std::string reason() { return std::strerror(errno); }

Variables ownVariables() {
  Variables variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const char* const equals = std::strchr(*entry, '=');
    if (equals != nullptr) variables[std::string(*entry, static_cast<size_t>(equals - *entry))] = equals + 1;
  }
  return variables;
}

// In the forked child: the terminal's keys are for the task, not for its executor.
void takeTerminal() {
  setpgid(0, 0);
  signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(STDIN_FILENO, getpid());
  signal(SIGTTOU, SIG_DFL);
}

}  // namespace

CommandTask::CommandTask(EventLoop& loop, AgentConnection& agent, SandboxFiles& files, const CommandFlags& flags,
                         TaskSettings settings, std::function<void()> onFinished)
    : TaskLifecycle(loop, agent, files, std::move(settings), std::move(onFinished)),
      flags_(flags),
      context_(flags),
      // What a check prints helps whoever reads the sandbox; it is not the task's output, so it goes to stderr.
      checks_(loop, context_, files.err),
      execs_(loop, context_, files) {
  adoptOrphans();
}

CommandTask::~CommandTask() {
  loop_.cancel(rest_);
  if (executing_) loop_.unwatch(executing_.get());
}

// --- Start

void CommandTask::begin() {
  const Variables own = ownVariables();
  const Variables variables = taskVariables(task(), carriedSecrets(data()), flags_, own);
  // The task's own variables are this process', too, and must not steer what it starts.
  for (const auto& [name, value] : own) {
    if (name.compare(0, kOfContainerizer.size(), kOfContainerizer) == 0) unsetenv(name.c_str());
  }
  const Json info = launchInfo(task(), flags_, variables);
  out_ = std::make_unique<TaskOutput>(loop_, files_.out);
  err_ = std::make_unique<TaskOutput>(loop_, files_.err);
  handOverSandbox();
  start(dump(info));
  context_.setTask(process_, variables);
}

// With a root file system of its own the task's executor is root, and so is the sandbox.
void CommandTask::handOverSandbox() const {
  if (flags_.rootfs.empty() || flags_.user.empty()) return;
  const passwd& user = userOf(flags_.user);
  // And what it writes to, which it may open again as /dev/stdout.
  for (const int fd : {out_->writeEnd(), err_->writeEnd()}) {
    if (fchown(fd, user.pw_uid, user.pw_gid) != 0) logWarning("The task can't open its output again: " + reason());
  }
  if (chown(".", user.pw_uid, user.pw_gid) != 0) {
    throw std::runtime_error("can't give the sandbox to '" + flags_.user + "': " + reason());
  }
}

void CommandTask::start(const std::string& launchInfo) {
  const std::string program = flags_.launcherDirectory + "/mesos-containerizer";
  if (access(program.c_str(), X_OK) != 0) throw std::runtime_error(program + ": " + reason());
  Pipe pipe;
  executing_ = std::move(pipe.readEnd);
  const FileDescriptor untilExecuted = std::move(pipe.writeEnd);

  // Its own mounts, and its own root, must not become the executor's.
  const char* const unshare = flags_.rootfs.empty() ? nullptr : "--unshare_namespace_mnt";
  process_ = fork();
  if (process_ < 0) throw std::runtime_error("fork: " + reason());
  if (process_ == 0) {
    restoreSignals();
    if (flags_.tty) {
      takeTerminal();
    } else {
      setsid();
    }
    // The setup of the container has all descriptors closed when it executes the command.
    fcntl(untilExecuted.get(), F_SETFD, 0);
    setenv("MESOS_CONTAINERIZER_FAILURES_DESCRIPTOR", std::to_string(untilExecuted.get()).c_str(), 1);
    dup2(out_->writeEnd(), STDOUT_FILENO);
    dup2(err_->writeEnd(), STDERR_FILENO);
    // Not as an argument, which everybody could read.
    setenv("MESOS_CONTAINERIZER_LAUNCH_INFO", launchInfo.c_str(), 1);
    execl(program.c_str(), "mesos-containerizer", "launch", unshare, nullptr);
    dprintf(STDERR_FILENO, "%s: %s\n", program.c_str(), std::strerror(errno));
    dprintf(untilExecuted.get(), "f");
    _exit(127);
  }
  out_->closeWriteEnd();
  err_->closeWriteEnd();
  loop_.watch(executing_.get(), POLLIN, [this] { executing(); });
  loop_.onChildEnd(process_, [this](int status) {
    commandStatus_ = status;
    commandEnded();
  });
}

void CommandTask::executing() {
  char failed = 0;
  const bool made = ::read(executing_.get(), &failed, 1) == 0;
  loop_.unwatch(executing_.get());
  executing_.close();
  if (!made) {
    failLaunch("The container can't be made; stderr says why", kLaunchFailed);
  } else if (!killed()) {
    running(status("TASK_RUNNING"), 0);
  } else if (ended()) {
    reportEnd("", false);
  }
}

// --- End

// The rest gets the same time as the command to end when it is killed, and none when the command ends by itself. What not
// even SIGKILL ends is not waited for.
void CommandTask::commandEnded() {
  endExecs();
  if (killed() && Clock::now() < killDeadline() + kLongestDeath && !descendantsOf(getpid()).empty()) {
    rest_ = loop_.after(kLookAtRest, [this] { commandEnded(); });
    return;
  }
  killDescendants(getpid());
  out_->drain();
  err_->drain();
  exited(*commandStatus_);
  if (phase() == Phase::Starting && killed() && !executing_) reportEnd("", false);
}

std::string CommandTask::describeEnd() const {
  if (!exitStatus()) return "Command was not started";
  return "Command " + describeWaitStatus(*exitStatus());
}

// --- Kill

void CommandTask::stop(Duration) {
  signalDescendants(getpid(), SIGTERM);
  // What stands still does not hear it.
  signalDescendants(getpid(), SIGCONT);
}

void CommandTask::killNow() { killDescendants(getpid()); }

}  // namespace executor
