// COMMAND checks of a command task: they run as the task does, beside it or in its root file system.
#pragma once

#include "check_commands.hpp"
#include "command_flags.hpp"
#include "event_loop.hpp"
#include "launch_info.hpp"
#include "sandbox_file.hpp"

namespace executor {

class CommandChecks : public CheckCommands {
 public:
  // `output`: for what the commands print.
  CommandChecks(EventLoop& loop, const CommandFlags& flags, SandboxFile& output)
      : loop_(loop), flags_(flags), output_(output) {}

  // The task's first process and variables; must be known before the first check.
  void setTask(pid_t process, const Variables& variables) {
    process_ = process;
    variables_ = variables;
  }

  std::unique_ptr<CheckCommand> run(const CheckSpec& spec, Done done) override;

 private:
  EventLoop& loop_;
  const CommandFlags& flags_;
  SandboxFile& output_;
  pid_t process_ = 0;
  Variables variables_;
};

}  // namespace executor
