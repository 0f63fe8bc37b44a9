#include "periodic_check.hpp"

#include <sys/wait.h>

#include <stdexcept>

#include "probe.hpp"

namespace executor {

PeriodicCheck::PeriodicCheck(EventLoop& loop, CheckCommands& commands, pid_t process, CheckSpec spec,
                             std::function<void(const CheckResult&)> onResult)
    : loop_(loop), commands_(commands), process_(process), spec_(std::move(spec)), onResult_(std::move(onResult)) {
  schedule(spec_.delay);
}

PeriodicCheck::~PeriodicCheck() { loop_.cancel(timer_); }

void PeriodicCheck::schedule(Duration delay) {
  timer_ = loop_.after(delay, [this] { perform(); });
}

void PeriodicCheck::perform() {
  timer_ = 0;
  if (spec_.timeout > Duration::zero()) {
    timer_ = loop_.after(spec_.timeout, [this] {
      finish({std::nullopt, "no result within " + describe(spec_.timeout)});
    });
  }
  try {
    if (spec_.kind == CheckKind::Command) {
      command_ = commands_.run(spec_, [this](const CheckResult& result) { finish(result); });
    } else {
      probe_ = startProbe();
    }
  } catch (const std::runtime_error& error) {
    finish({std::nullopt, error.what()});  // no room for a process: not the task's fault, but no answer either
  }
}

std::unique_ptr<Child> PeriodicCheck::startProbe() {
  const auto work = [this](int fd) { probe(spec_, process_, fd); };
  const auto ended = [this](const ChildResult& result) {
    if (WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0) {
      finish(readProbe(result.output));
    } else {
      finish({std::nullopt, "the probe's process was killed"});
    }
  };
  return Child::function(loop_, work, ended);
}

void PeriodicCheck::finish(const CheckResult& result) {
  loop_.cancel(timer_);
  probe_.reset();
  command_.reset();
  schedule(spec_.interval);
  if (result.inconclusive) return;
  const auto onResult = onResult_;
  onResult(result);  // may destroy this
}

}  // namespace executor
