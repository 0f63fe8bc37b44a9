// COMMAND checks of a command task: they run as the task does, beside it or in its root file system.
#pragma once

#include "check_commands.hpp"
#include "event_loop.hpp"
#include "sandbox_file.hpp"
#include "task_context.hpp"

namespace executor {

class CommandChecks : public CheckCommands {
 public:
  // `context` must outlive it; `output`: for what the commands print.
  CommandChecks(EventLoop& loop, const TaskContext& context, SandboxFile& output)
      : loop_(loop), context_(context), output_(output) {}

  std::unique_ptr<CheckCommand> run(const CheckSpec& spec, Done done) override;

 private:
  EventLoop& loop_;
  const TaskContext& context_;
  SandboxFile& output_;
};

}  // namespace executor
