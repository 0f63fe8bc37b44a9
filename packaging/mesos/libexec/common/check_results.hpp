// What the results of checks mean: when a task is healthy, when it must be killed, when the framework is told.
// Pure: time and results come in, decisions go out. Source: Mesos' docs/health-checks.md.
#pragma once

#include <optional>
#include <string>

#include "check_spec.hpp"

namespace executor {

// One look at the task: a value (exit code, HTTP status, or 1/0 for a TCP connection), or why there is none.
struct CheckResult {
  std::optional<int> value;
  std::string error;
  // Nobody could look, for a reason that is not the task's: says nothing of it.
  bool inconclusive = false;
};

// Of a command that has ended with this status, as waitpid gives it.
CheckResult commandResult(int status);

struct HealthVerdict {
  bool healthy;
  bool kill;        // the task has failed often enough
  std::string why;  // of an unhealthy one
};

class HealthJudge {
 public:
  HealthJudge(const HealthSpec& spec, Clock::time_point start) : spec_(spec), start_(start) {}

  // What to report after this result, if anything: every failure (but not those of the grace period, which lasts
  // until the first success at most), and the first success after the start or after failures.
  std::optional<HealthVerdict> judge(const CheckResult& result, Clock::time_point now);

 private:
  const HealthSpec spec_;
  const Clock::time_point start_;
  bool everHealthy_ = false;
  uint32_t failures_ = 0;
};

// The CheckStatusInfo of a result; of none (not looked yet, timed out): present and empty.
Json checkStatus(CheckKind kind, const CheckResult& result);

}  // namespace executor
