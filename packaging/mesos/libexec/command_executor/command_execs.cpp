#include "command_execs.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "attached_task.hpp"
#include "children.hpp"
#include "pipe.hpp"
#include "process_tree.hpp"
#include "terminal.hpp"

namespace executor {
namespace {

constexpr size_t kBuffer = 16384;

// What a program's output comes through, until it has ended and nothing is left in it.
class Output {
 public:
  using Sink = std::function<size_t(std::string_view)>;

  Output(EventLoop& loop, FileDescriptor from, Sink sink, std::function<void()> onChange)
      : loop_(loop), from_(std::move(from)), sink_(std::move(sink)), onChange_(std::move(onChange)) {
    watch();
  }
  ~Output() { close(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool complete() const { return !from_ && pending_.empty(); }

  // The program has ended: what others may still write is not waited for.
  void finish() {
    ended_ = true;
    if (from_ && pending_.empty()) read();
  }

  void handOn() {
    pending_.erase(0, sink_(pending_));
    watch();
    if (ended_ && pending_.empty() && from_) read();
  }

 private:
  void watch() {
    if (!from_) return;
    loop_.unwatch(from_.get());
    if (!pending_.empty()) return;
    loop_.watch(from_.get(), POLLIN, [this] {
      read();
      onChange_();  // may destroy this
    });
  }

  void read() {
    char bytes[kBuffer];
    ssize_t count = 0;
    while (from_ && pending_.empty() && (count = ::read(from_.get(), bytes, sizeof bytes)) > 0) {
      pending_.assign(bytes, static_cast<size_t>(count));
      pending_.erase(0, sink_(pending_));
      if (!ended_) break;
    }
    if (pending_.empty() && (count == 0 || (count < 0 && (ended_ || (errno != EAGAIN && errno != EINTR))))) close();
    watch();
  }

  void close() {
    if (from_) loop_.unwatch(from_.get());
    from_.close();
  }

  EventLoop& loop_;
  FileDescriptor from_;
  const Sink sink_;
  const std::function<void()> onChange_;
  std::string pending_;  // what the sink has not taken yet
  bool ended_ = false;
};

class ProgramExec : public ExecCommand {
 public:
  ProgramExec(EventLoop& loop, const Command& command, const ExecRequest& request, ExecHandlers handlers)
      : loop_(loop), handlers_(std::move(handlers)) {
    if (request.terminal) {
      terminal_.emplace(request.terminal->rows, request.terminal->columns);
      start(command, terminal_->program.get(), terminal_->program.get(), terminal_->program.get());
      terminal_->program.close();
      input_ = FileDescriptor(fcntl(terminal_->ours.get(), F_DUPFD_CLOEXEC, 0));
      output_.push_back(outputOf(StandardStream::Out, FileDescriptor(fcntl(terminal_->ours.get(), F_DUPFD_CLOEXEC, 0))));
    } else {
      Pipe in;
      Pipe out;
      Pipe errors;
      // The program's end of its input waits, ours does not.
      fcntl(in.readEnd.get(), F_SETFL, 0);
      fcntl(in.writeEnd.get(), F_SETFL, O_NONBLOCK);
      start(command, in.readEnd.get(), out.writeEnd.get(), errors.writeEnd.get());
      input_ = std::move(in.writeEnd);
      output_.push_back(outputOf(StandardStream::Out, std::move(out.readEnd)));
      output_.push_back(outputOf(StandardStream::Err, std::move(errors.readEnd)));
    }
    loop_.onChildEnd(process_, [this](int status) {
      status_ = status;
      for (const auto& output : output_) output->finish();
      endIfComplete();
    });
  }

  ~ProgramExec() override {
    if (input_) loop_.unwatch(input_.get());
    if (!status_) {
      killDescendants(process_);
      ::kill(process_, SIGKILL);
      loop_.onChildEnd(process_, [](int) {});
    }
    // What has lost its parent, and is a child of ours now.
    killSession(getpid(), process_);
  }

  size_t write(std::string_view bytes) override {
    if (!input_) return bytes.size();
    const ssize_t count = ::write(input_.get(), bytes.data(), bytes.size());
    // One that reads no more is no error: it may still write.
    if (count < 0 && errno != EAGAIN) return bytes.size();
    const size_t taken = count < 0 ? 0 : static_cast<size_t>(count);
    if (taken < bytes.size()) {
      loop_.watch(input_.get(), POLLOUT, [this] {
        loop_.unwatch(input_.get());
        handlers_.onRoom();
      });
    }
    return taken;
  }

  void endInput() override {
    if (!input_) return;
    loop_.unwatch(input_.get());
    input_.close();
  }

  void resize(int64_t rows, int64_t columns) override {
    if (terminal_) terminal_->resize(rows, columns);
  }

  void resume() override {
    for (const auto& output : output_) output->handOn();
    endIfComplete();
  }

 private:
  std::unique_ptr<Output> outputOf(StandardStream stream, FileDescriptor from) {
    return std::make_unique<Output>(
        loop_, std::move(from), [this, stream](std::string_view bytes) { return handlers_.onOutput(stream, bytes); },
        [this] { endIfComplete(); });
  }

  void start(const Command& command, int in, int out, int errors) {
    const pid_t parent = getpid();
    process_ = fork();
    if (process_ < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
    if (process_ > 0) return;
    dieWithParent(parent);
    setsid();
    restoreSignals();
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    if (terminal_) controlTerminal(STDIN_FILENO);
    execute(command.program, command.arguments, command.variables);
  }

  void endIfComplete() {
    if (!status_) return;
    for (const auto& output : output_) {
      if (!output->complete()) return;
    }
    const auto onEnd = handlers_.onEnd;
    onEnd({WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_), ""});  // destroys this
  }

  EventLoop& loop_;
  const ExecHandlers handlers_;
  std::optional<PseudoTerminal> terminal_;
  FileDescriptor input_;
  std::vector<std::unique_ptr<Output>> output_;
  pid_t process_ = 0;
  std::optional<int> status_;
};

}  // namespace

std::unique_ptr<ExecCommand> CommandExecs::run(const ExecRequest& request, ExecHandlers handlers) {
  Variables variables;
  if (request.terminal) variables["TERM"] = request.terminal->type;
  return std::make_unique<ProgramExec>(loop_, context_.command(request.command.front(), request.command, variables),
                                       request, std::move(handlers));
}

std::unique_ptr<ExecCommand> CommandExecs::attach(const ExecRequest& request, ExecHandlers handlers) {
  if (!files_.out.rotatable() || !files_.err.rotatable()) {
    throw std::runtime_error("the agent's container logger has the task's output, or a terminal has it");
  }
  if (request.input) throw std::runtime_error("a command has no standard input");
  return std::make_unique<AttachedTask>(loop_, files_, nullptr, std::move(handlers));
}

}  // namespace executor
