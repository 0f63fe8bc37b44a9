// COMMAND checks inside a container, through the Docker Engine.
#pragma once

#include <string>

#include "check_commands.hpp"
#include "engine.hpp"
#include "event_loop.hpp"
#include "sandbox_file.hpp"

namespace executor {

class ContainerChecks : public CheckCommands {
 public:
  // `output`: for what the commands print.
  ContainerChecks(EventLoop& loop, Engine& engine, SandboxFile& output)
      : loop_(loop), engine_(engine), output_(output) {}

  // The engine's id of the container; must be known before the first check.
  void setContainer(const std::string& container) { container_ = container; }

  std::unique_ptr<CheckCommand> run(const CheckSpec& spec, Done done) override;

 private:
  EventLoop& loop_;
  Engine& engine_;
  SandboxFile& output_;
  std::string container_;
};

}  // namespace executor
