// A command as a Mesos task: started through mesos-containerizer, which gives it its user, root file system,
// capabilities and mounts by Mesos' own code. All that it starts is ended with it, whatever session that is in.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "command_checks.hpp"
#include "command_execs.hpp"
#include "command_flags.hpp"
#include "file_descriptor.hpp"
#include "task_context.hpp"
#include "task_lifecycle.hpp"
#include "task_output.hpp"

namespace executor {

class CommandTask : public TaskLifecycle {
 public:
  // `flags` must outlive it.
  CommandTask(EventLoop& loop, AgentConnection& agent, SandboxFiles& files, const CommandFlags& flags,
              TaskSettings settings, std::function<void()> onFinished);
  ~CommandTask() override;

 protected:
  void begin() override;
  void cancelStart() override { killNow(); }
  void stop(Duration grace) override;
  void killNow() override;
  void explainEnd() override { reportEnd("", false); }
  std::string describeEnd() const override;
  void cleanUp() override { finish(); }
  CheckCommands& checkCommands() override { return checks_; }
  ExecCommands* execCommands() override { return &execs_; }

 private:
  void handOverSandbox() const;
  void start(const std::string& launchInfo);
  void executing();
  void commandEnded();

  const CommandFlags& flags_;
  TaskContext context_;
  CommandChecks checks_;
  CommandExecs execs_;
  std::unique_ptr<TaskOutput> out_;
  std::unique_ptr<TaskOutput> err_;
  pid_t process_ = 0;
  FileDescriptor executing_;  // ends when the command is executed; says before if it can't be
  std::optional<int> commandStatus_;
  EventLoop::TimerId rest_ = 0;
};

}  // namespace executor
