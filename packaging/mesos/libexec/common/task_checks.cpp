#include "task_checks.hpp"

#include "log.hpp"

namespace executor {

TaskChecks::TaskChecks(EventLoop& loop, CheckCommands& commands, const Json& task, Handlers handlers)
    : loop_(loop),
      commands_(commands),
      taskId_(idOf(task, "task_id", "task")),
      handlers_(std::move(handlers)),
      check_(checkOf(task)),
      health_(healthCheckOf(task)) {
  if (check_) checkStatus_ = checkStatus(check_->kind, {});
  if (!arrayOf(member(member(task, "health_check"), "http"), "statuses", "health_check.http").empty()) {
    logWarning("health_check.http.statuses has no effect: 200 to 399 are healthy");
  }
}

void TaskChecks::start(pid_t process) {
  if (check_) {
    checking_ = std::make_unique<PeriodicCheck>(loop_, commands_, process, *check_,
                                                [this](const CheckResult& result) { checkResult(result); });
  }
  if (health_) {
    judge_.emplace(*health_, Clock::now());
    healthChecking_ = std::make_unique<PeriodicCheck>(loop_, commands_, process, health_->check,
                                                      [this](const CheckResult& result) { healthResult(result); });
  }
}

void TaskChecks::stop() {
  checking_.reset();
  healthChecking_.reset();
}

void TaskChecks::addTo(Json& status) const {
  if (healthy_) status["healthy"] = *healthy_;
  if (check_) status["check_status"] = checkStatus_;
}

void TaskChecks::healthResult(const CheckResult& result) {
  const auto verdict = judge_->judge(result, Clock::now());
  if (!verdict) return;
  healthy_ = verdict->healthy;
  const std::string name = std::string(nameOf(health_->check.kind)) + " health check";
  if (verdict->healthy) {
    logInfo("Task " + taskId_ + " is healthy: " + name);
  } else {
    logWarning("Task " + taskId_ + " is unhealthy: " + name + ": " + verdict->why);
  }
  handlers_.onNews("REASON_TASK_HEALTH_CHECK_STATUS_UPDATED");
  if (verdict->kill) handlers_.onUnhealthy();
}

void TaskChecks::checkResult(const CheckResult& result) {
  Json status = checkStatus(check_->kind, result);
  if (status == checkStatus_) return;
  if (!result.value) logWarning(std::string(nameOf(check_->kind)) + " check of task " + taskId_ + ": " + result.error);
  checkStatus_ = std::move(status);
  handlers_.onNews("REASON_TASK_CHECK_STATUS_UPDATED");
}

}  // namespace executor
