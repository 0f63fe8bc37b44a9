#include "command_checks.hpp"

#include <unistd.h>

#include "children.hpp"
#include "process_tree.hpp"

namespace executor {
namespace {

class RunningCheck : public CheckCommand {
 public:
  RunningCheck(EventLoop& loop, const Command& command, SandboxFile& output, CheckCommands::Done done) {
    child_ = Child::program(loop, command.program, command.arguments, command.variables,
                            [&output, done](const ChildResult& result) {
                              output.write(result.output);
                              output.write(result.errors);
                              done(commandResult(result.status));  // destroys this
                            });
    session_ = child_->pid();
  }

  // Also what the command has left behind, as far as it has stayed in its session.
  ~RunningCheck() override { killSession(getpid(), session_); }

 private:
  std::unique_ptr<Child> child_;
  pid_t session_ = 0;
};

}  // namespace

std::unique_ptr<CheckCommand> CommandChecks::run(const CheckSpec& spec, Done done) {
  Variables variables;
  for (const std::string& variable : spec.environment) {
    const size_t equals = variable.find('=');
    variables[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  std::vector<std::string> arguments = spec.arguments;
  if (spec.shell || arguments.empty()) arguments.insert(arguments.begin(), spec.program);
  return std::make_unique<RunningCheck>(loop_, context_.command(spec.program, arguments, variables), output_,
                                        std::move(done));
}

}  // namespace executor
