// Commands of operators beside a command task: they run as the task does, with pipes or a terminal of their own.
#pragma once

#include "event_loop.hpp"
#include "exec_commands.hpp"
#include "sandbox_file.hpp"
#include "task_context.hpp"

namespace executor {

class CommandExecs : public ExecCommands {
 public:
  // `context` must outlive it; `files`: where the task's output goes.
  CommandExecs(EventLoop& loop, const TaskContext& context, SandboxFiles& files)
      : loop_(loop), context_(context), files_(files) {}

  std::unique_ptr<ExecCommand> run(const ExecRequest& request, ExecHandlers handlers) override;
  std::unique_ptr<ExecCommand> attach(const ExecRequest& request, ExecHandlers handlers) override;

 private:
  EventLoop& loop_;
  const TaskContext& context_;
  SandboxFiles& files_;
};

}  // namespace executor
