// COMMAND checks of a task of a group: sessions in its container, which the agent launches.
#pragma once

#include "agent_calls.hpp"
#include "check_commands.hpp"
#include "sandbox_file.hpp"

namespace executor {

class SessionChecks : public CheckCommands {
 public:
  // `output`: for what the commands print. `container`: the task's.
  SessionChecks(AgentCalls& calls, SandboxFile& output, Json container)
      : calls_(calls), output_(output), container_(std::move(container)) {}

  std::unique_ptr<CheckCommand> run(const CheckSpec& spec, Done done) override;

 private:
  AgentCalls& calls_;
  SandboxFile& output_;
  const Json container_;
};

}  // namespace executor
