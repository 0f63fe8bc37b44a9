// A task's check and health check, while it runs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "check_commands.hpp"
#include "check_results.hpp"
#include "event_loop.hpp"
#include "periodic_check.hpp"

namespace executor {

class TaskChecks {
 public:
  struct Handlers {
    // The framework must know: send a TASK_RUNNING update with fields() for this reason.
    std::function<void(const char* reason)> onNews;
    std::function<void()> onUnhealthy;  // the task must be killed
  };

  // Throws InvalidField when the task's checks can't be performed.
  TaskChecks(EventLoop& loop, CheckCommands& commands, const Json& task, Handlers handlers);

  // `process`: the task's first, whose network namespace is meant; 0 for the executor's own.
  void start(pid_t process);
  void stop();

  // What every TASK_RUNNING update says of the checks so far: `healthy` and `check_status`.
  void addTo(Json& status) const;

 private:
  void healthResult(const CheckResult& result);
  void checkResult(const CheckResult& result);

  EventLoop& loop_;
  CheckCommands& commands_;
  const std::string taskId_;
  const Handlers handlers_;
  const std::optional<CheckSpec> check_;
  const std::optional<HealthSpec> health_;
  std::unique_ptr<PeriodicCheck> checking_;
  std::unique_ptr<PeriodicCheck> healthChecking_;
  std::optional<HealthJudge> judge_;
  std::optional<bool> healthy_;
  Json checkStatus_;
};

}  // namespace executor
