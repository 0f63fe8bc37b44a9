// Commands of operators inside a container, and their looks at the container itself, through the Docker Engine.
#pragma once

#include <string>

#include "engine.hpp"
#include "event_loop.hpp"
#include "exec_commands.hpp"
#include "sandbox_file.hpp"

namespace executor {

class ContainerExecs : public ExecCommands {
 public:
  // `files`: where the container's output goes.
  ContainerExecs(EventLoop& loop, Engine& engine, SandboxFiles& files) : loop_(loop), engine_(engine), files_(files) {}

  // The engine's id of the container; must be known before the first command.
  void setContainer(const std::string& container) { container_ = container; }
  // Whether the container reads anything, and from a terminal.
  void setInput(bool open, bool terminal) {
    openInput_ = open;
    terminal_ = terminal;
  }

  std::unique_ptr<ExecCommand> run(const ExecRequest& request, ExecHandlers handlers) override;
  std::unique_ptr<ExecCommand> attach(const ExecRequest& request, ExecHandlers handlers) override;

 private:
  EventLoop& loop_;
  Engine& engine_;
  SandboxFiles& files_;
  std::string container_;
  bool openInput_ = false;
  bool terminal_ = false;
};

}  // namespace executor
