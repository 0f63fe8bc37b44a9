// Where a command task runs, for what runs beside it: its user, variables, working directory and root file system.
#pragma once

#include <string>
#include <vector>

#include "command_flags.hpp"
#include "launch_info.hpp"

namespace executor {

// A program with its arguments, the first of which is its name, and the variables that it gets.
struct Command {
  std::string program;
  std::vector<std::string> arguments;
  Variables variables;
};

class TaskContext {
 public:
  // `flags` must outlive it.
  explicit TaskContext(const CommandFlags& flags) : flags_(flags) {}

  // The task's first process and variables; must be known before the first command().
  void setTask(pid_t process, const Variables& variables) {
    process_ = process;
    variables_ = variables;
  }

  // What has to be executed so that this program runs as the task does. `arguments`: with its name; `own`: variables on top
  // of the task's.
  Command command(const std::string& program, const std::vector<std::string>& arguments, const Variables& own) const;

 private:
  const CommandFlags& flags_;
  pid_t process_ = 0;
  Variables variables_;
};

}  // namespace executor
