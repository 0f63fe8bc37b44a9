// A task's check and health check, while its container runs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "check_results.hpp"
#include "engine.hpp"
#include "event_loop.hpp"
#include "periodic_check.hpp"
#include "sandbox_file.hpp"

namespace executor {

class TaskChecks {
 public:
  struct Handlers {
    // The framework must know: send a TASK_RUNNING update with fields() for this reason.
    std::function<void(const char* reason)> onNews;
    std::function<void()> onUnhealthy;  // the task must be killed
  };

  // `output`: for what commands print. Throws InvalidField when the task's checks can't be performed.
  TaskChecks(EventLoop& loop, Engine& engine, SandboxFile& output, const Json& task, Handlers handlers);

  // `process`: the container's first process.
  void start(const std::string& container, pid_t process);
  void stop();

  // What every TASK_RUNNING update says of the checks so far: `healthy` and `check_status`.
  void addTo(Json& status) const;

 private:
  void healthResult(const CheckResult& result);
  void checkResult(const CheckResult& result);

  EventLoop& loop_;
  Engine& engine_;
  SandboxFile& output_;
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
