// Looks at the container again and again, as a CheckSpec says: programs run inside it through the engine, HTTP and TCP
// are tried from a forked helper in the container's network namespace.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "check_results.hpp"
#include "children.hpp"
#include "engine.hpp"
#include "event_loop.hpp"
#include "output_stream.hpp"
#include "sandbox_file.hpp"

namespace executor {

class PeriodicCheck {
 public:
  // `process`: the container's first process, whose network namespace is meant. `output`: for what commands print.
  // Begins at once with spec.delay and
  // goes on until it is destroyed; `onResult` may destroy it.
  PeriodicCheck(EventLoop& loop, Engine& engine, SandboxFile& output, std::string container, pid_t process,
                CheckSpec spec, std::function<void(const CheckResult&)> onResult);
  ~PeriodicCheck();

 private:
  void schedule(Duration delay);
  void perform();
  void performCommand();
  void startCommand(const std::string& exec);
  void commandEnded();
  void performProbe();
  void timedOut();
  void finish(const CheckResult& result);

  EventLoop& loop_;
  Engine& engine_;
  SandboxFile& commandOutput_;
  const std::string container_;
  const pid_t process_;
  const CheckSpec spec_;
  const std::function<void(const CheckResult&)> onResult_;

  // Answers of the engine may come when the attempt that asked, or this object, is gone.
  std::shared_ptr<int> attempt_;
  EventLoop::TimerId timer_ = 0;
  std::unique_ptr<Child> probe_;
  std::unique_ptr<HttpTransfer> command_;
  std::unique_ptr<OutputStream> output_;
  std::string exec_;
};

}  // namespace executor
