// How a command that an operator has asked for is run where the task is: each executor has a way of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace executor {

struct Terminal {
  std::string type;  // as in TERM
  int64_t rows = 24;
  int64_t columns = 80;
};

struct ExecRequest {
  std::vector<std::string> command;  // the program and its arguments; empty: the task itself
  std::optional<Terminal> terminal;  // none: pipes
  bool input = false;                // whether there is any; else it reads an end of file
};

struct ExecResult {
  int status = 0;     // as a shell tells it: 128 and the signal for one that a signal has ended
  std::string error;  // why there is no status, empty otherwise
};

enum class StandardStream { Out, Err };

struct ExecHandlers {
  // What it writes, as it comes; returns how many bytes it took. The rest is offered again after resume().
  std::function<size_t(StandardStream, std::string_view)> onOutput;
  // It takes input again.
  std::function<void()> onRoom;
  // It has ended, and all its output was taken. May destroy the command.
  std::function<void(const ExecResult&)> onEnd;
};

// A command under way. Destroying it ends the command, with all that it has started.
class ExecCommand {
 public:
  virtual ~ExecCommand() = default;

  // Input for the command; returns how many bytes it took. When that is less than all, onRoom() follows.
  virtual size_t write(std::string_view bytes) = 0;
  // Not for one with a terminal, which gets what Ctrl-D sends instead.
  virtual void endInput() = 0;
  // No more than nothing for one without a terminal.
  virtual void resize(int64_t rows, int64_t columns) = 0;
  // Offers onOutput what it left before.
  virtual void resume() = 0;
};

class ExecCommands {
 public:
  virtual ~ExecCommands() = default;

  // The handlers are called from the loop, never from inside of this call. Throws std::runtime_error.
  virtual std::unique_ptr<ExecCommand> run(const ExecRequest& request, ExecHandlers handlers) = 0;
  // The same for the task itself, without a command: nothing ends it.
  virtual std::unique_ptr<ExecCommand> attach(const ExecRequest& request, ExecHandlers handlers) = 0;
};

}  // namespace executor
