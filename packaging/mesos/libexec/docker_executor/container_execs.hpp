// Commands of operators inside a container, through the Docker Engine.
#pragma once

#include <string>

#include "engine.hpp"
#include "event_loop.hpp"
#include "exec_commands.hpp"

namespace executor {

class ContainerExecs : public ExecCommands {
 public:
  ContainerExecs(EventLoop& loop, Engine& engine) : loop_(loop), engine_(engine) {}

  // The engine's id of the container; must be known before the first command.
  void setContainer(const std::string& container) { container_ = container; }

  std::unique_ptr<ExecCommand> run(const ExecRequest& request, ExecHandlers handlers) override;

 private:
  EventLoop& loop_;
  Engine& engine_;
  std::string container_;
};

}  // namespace executor
