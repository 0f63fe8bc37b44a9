// Looks at the task again and again, as a CheckSpec says: commands run where the task does, HTTP and TCP are tried
// from a forked helper in the task's network namespace.
#pragma once

#include <functional>
#include <memory>

#include "check_commands.hpp"
#include "children.hpp"
#include "event_loop.hpp"

namespace executor {

class PeriodicCheck {
 public:
  // `process`: whose network namespace is meant, 0 for the executor's own. Begins at once with spec.delay and goes on
  // until it is destroyed; `onResult` may destroy it.
  PeriodicCheck(EventLoop& loop, CheckCommands& commands, pid_t process, CheckSpec spec,
                std::function<void(const CheckResult&)> onResult);
  ~PeriodicCheck();

 private:
  void schedule(Duration delay);
  void perform();
  std::unique_ptr<Child> startProbe();
  void finish(const CheckResult& result);

  EventLoop& loop_;
  CheckCommands& commands_;
  const pid_t process_;
  const CheckSpec spec_;
  const std::function<void(const CheckResult&)> onResult_;

  EventLoop::TimerId timer_ = 0;
  std::unique_ptr<Child> probe_;
  std::unique_ptr<CheckCommand> command_;
};

}  // namespace executor
