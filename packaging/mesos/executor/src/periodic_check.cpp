#include "periodic_check.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <stdexcept>

#include "probe.hpp"

namespace executor {

namespace {

constexpr Duration LOOK_AGAIN = std::chrono::milliseconds(200);
constexpr int LOOKS = 150;  // half a minute: as long as a busy engine may take to begin a command

// The engine can't end a command: finds its process and does it. The engine may not have begun it yet, and still will.
void endCommand(EventLoop& loop, Engine& engine, const std::string& exec, int looks) {
  engine.inspectExec(exec, [&loop, &engine, exec, looks](const HttpResponse& response) {
    if (!response.ok()) return;
    const Json answer = parseJson(response.body, "answer");
    const int64_t pid = integerOr(answer, "Pid", 0, "answer");
    if (pid > 1 && boolOr(answer, "Running", false, "answer")) {
      ::kill(static_cast<pid_t>(pid), SIGKILL);
    } else if (looks > 1 && !has(answer, "ExitCode")) {
      loop.after(LOOK_AGAIN, [&loop, &engine, exec, looks] { endCommand(loop, engine, exec, looks - 1); });
    }
  });
}

}  // namespace

PeriodicCheck::PeriodicCheck(EventLoop& loop, Engine& engine, SandboxFile& output, std::string container,
                             pid_t process, CheckSpec spec, std::function<void(const CheckResult&)> onResult)
    : loop_(loop),
      engine_(engine),
      commandOutput_(output),
      container_(std::move(container)),
      process_(process),
      spec_(std::move(spec)),
      onResult_(std::move(onResult)) {
  schedule(spec_.delay);
}

PeriodicCheck::~PeriodicCheck() { loop_.cancel(timer_); }

void PeriodicCheck::schedule(Duration delay) {
  timer_ = loop_.after(delay, [this] { perform(); });
}

void PeriodicCheck::perform() {
  timer_ = 0;
  attempt_ = std::make_shared<int>();
  if (spec_.timeout > Duration::zero()) timer_ = loop_.after(spec_.timeout, [this] { timedOut(); });
  if (spec_.kind == CheckKind::Command) {
    performCommand();
  } else {
    performProbe();
  }
}

void PeriodicCheck::performCommand() {
  Json command = {{"Cmd", spec_.command}};
  if (!spec_.environment.empty()) command["Env"] = spec_.environment;
  engine_.createExec(container_, std::move(command),
                     [this, current = std::weak_ptr<int>(attempt_)](const HttpResponse& response) {
                       if (current.expired()) return;
                       try {
                         if (!response.ok()) throw InvalidField(response.describe());
                         startCommand(textOr(parseJson(response.body, "answer"), "Id", "", "answer"));
                       } catch (const InvalidField& error) {
                         finish({std::nullopt, error.what()});
                       }
                     });
}

void PeriodicCheck::startCommand(const std::string& exec) {
  exec_ = exec;
  output_ = std::make_unique<OutputStream>(commandOutput_, commandOutput_, true);
  HttpHandlers handlers;
  handlers.onData = [this](std::string_view bytes) {
    output_->write(bytes);
    return bytes.size();
  };
  handlers.onDone = [this](const HttpResponse&) { commandEnded(); };
  command_ = engine_.startExec(exec, std::move(handlers));
}

void PeriodicCheck::commandEnded() {
  command_.reset();
  engine_.inspectExec(exec_, [this, current = std::weak_ptr<int>(attempt_)](const HttpResponse& response) {
    if (current.expired()) return;
    try {
      if (!response.ok()) throw InvalidField(response.describe());
      const int64_t code = integerOr(parseJson(response.body, "answer"), "ExitCode", -1, "answer");
      finish({static_cast<int>(code), ""});
    } catch (const InvalidField& error) {
      finish({std::nullopt, error.what()});
    }
  });
}

void PeriodicCheck::performProbe() {
  const auto work = [this](int fd) { probe(spec_, process_, fd); };
  const auto ended = [this](const ChildResult& result) {
    probe_.reset();
    if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0) {
      finish(readProbe(result.output));
    } else {
      finish({std::nullopt, "the probe's process was killed"});
    }
  };
  try {
    probe_ = Child::function(loop_, work, ended);
  } catch (const std::runtime_error& error) {
    finish({std::nullopt, error.what()});  // no room for a process: not the task's fault, but no answer either
  }
}

void PeriodicCheck::timedOut() {
  if (command_) endCommand(loop_, engine_, exec_, LOOKS);
  finish({std::nullopt, "no result within " + describe(spec_.timeout)});
}

void PeriodicCheck::finish(const CheckResult& result) {
  loop_.cancel(timer_);
  attempt_.reset();
  probe_.reset();
  command_.reset();
  schedule(spec_.interval);
  const auto onResult = onResult_;
  onResult(result);  // may destroy this
}

}  // namespace executor
