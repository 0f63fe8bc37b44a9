// How a COMMAND check's command is run where the task is: each executor has a way of its own.
#pragma once

#include <functional>
#include <memory>

#include "check_results.hpp"
#include "check_spec.hpp"

namespace executor {

// A command under way. Destroying it ends the command, with all that it has started.
class CheckCommand {
 public:
  virtual ~CheckCommand() = default;
};

class CheckCommands {
 public:
  using Done = std::function<void(const CheckResult&)>;

  virtual ~CheckCommands() = default;

  // Runs spec.command with spec.environment. `done` is called once, from the loop, unless the command is destroyed
  // before; it may destroy it. Throws std::runtime_error when there is no room for a process.
  virtual std::unique_ptr<CheckCommand> run(const CheckSpec& spec, Done done) = 0;
};

}  // namespace executor
