#include "container_execs.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "exec_end.hpp"
#include "output_frames.hpp"

namespace executor {
namespace {

constexpr size_t kBuffer = 16384;
constexpr size_t kLongestAnswer = 65536;
// The engine may close the streams a moment before it knows how the command has ended.
constexpr Duration kLookAgain = std::chrono::milliseconds(50);
constexpr int kLooks = 100;

class ContainerExec : public ExecCommand {
 public:
  ContainerExec(EventLoop& loop, Engine& engine, const std::string& container, const ExecRequest& request,
                ExecHandlers handlers)
      : loop_(loop),
        engine_(engine),
        handlers_(std::move(handlers)),
        terminal_(request.terminal),
        frames_(!request.terminal, handlers_.onOutput) {
    Json command = {{"Cmd", request.command}, {"AttachStdin", request.input}, {"Tty", request.terminal.has_value()}};
    if (terminal_) command["Env"] = {"TERM=" + terminal_->type};
    engine_.createExec(container, std::move(command), whileAlive([this](const HttpResponse& response) {
      open(textOr(parseJson(response.body, "answer"), "Id", "", "answer"));
    }));
  }

  ~ContainerExec() override {
    if (connection_) loop_.unwatch(connection_.get());
    if (!exec_.empty() && !ended_) endExec(loop_, engine_, exec_);
  }

  size_t write(std::string_view bytes) override {
    if (!streaming_) return 0;
    const ssize_t count = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    // One that reads no more is no error: it may still write.
    if (count < 0 && errno != EAGAIN) return bytes.size();
    const size_t taken = count < 0 ? 0 : static_cast<size_t>(count);
    waitsForRoom_ = taken < bytes.size();
    watch();
    return taken;
  }

  void endInput() override {
    inputEnds_ = true;
    if (streaming_) shutdown(connection_.get(), SHUT_WR);
  }

  void resize(int64_t rows, int64_t columns) override {
    if (!terminal_) return;
    terminal_->rows = rows;
    terminal_->columns = columns;
    if (streaming_) engine_.resizeExec(exec_, rows, columns);
  }

  void resume() override {
    if (!pending_.empty()) handOn();
  }

 private:
  // Answers of the engine may come when this is gone.
  Engine::Done whileAlive(std::function<void(const HttpResponse&)> action) {
    return [this, action, alive = std::weak_ptr<int>(alive_)](const HttpResponse& response) {
      if (alive.expired()) return;
      try {
        if (!response.ok()) throw InvalidField(response.describe());
        action(response);
      } catch (const std::runtime_error& error) {
        finish({0, error.what()});
      }
    };
  }

  void open(const std::string& exec) {
    connection_ = engine_.openExec(exec, terminal_.has_value());
    exec_ = exec;
    watch();
  }

  void watch() {
    short events = pending_.empty() ? POLLIN : 0;
    if (waitsForRoom_) events |= POLLOUT;
    loop_.unwatch(connection_.get());
    if (events != 0) loop_.watch(connection_.get(), events, [this] { ready(); });
  }

  void ready() {
    if (waitsForRoom_) {
      waitsForRoom_ = false;
      handlers_.onRoom();
    }
    if (pending_.empty()) read();
  }

  void read() {
    char bytes[kBuffer];
    const ssize_t count = ::recv(connection_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      watch();
      return;
    }
    if (count <= 0) {
      closed();
      return;
    }
    pending_.append(bytes, static_cast<size_t>(count));
    if (streaming_) {
      handOn();
    } else {
      answered();
    }
  }

  // The engine's answer is complete with its headers, unless it is an error: then a text follows.
  void answered() {
    const size_t end = pending_.find("\r\n\r\n");
    if (end == std::string::npos && pending_.size() < kLongestAnswer) return readOn();
    const int status = end == std::string::npos ? 0 : std::atoi(pending_.c_str() + pending_.find(' '));
    if (status != 101 && status != 200) {
      refused(status, end);
      return;
    }
    pending_.erase(0, end + 4);
    streaming_ = true;
    if (inputEnds_) shutdown(connection_.get(), SHUT_WR);
    if (terminal_) engine_.resizeExec(exec_, terminal_->rows, terminal_->columns);
    handlers_.onRoom();
    handOn();
  }

  void refused(int status, size_t end) {
    if (status == 0) {
      finish({0, "the Docker Engine's answer is not understood"});
      return;
    }
    static const char length[] = "Content-Length: ";
    const size_t told = pending_.find(length);
    const size_t size = told < end ? std::strtoul(pending_.c_str() + told + sizeof length - 1, nullptr, 10) : 0;
    if (pending_.size() < end + 4 + std::min(size, kLongestAnswer)) return readOn();
    finish({0, "HTTP status " + std::to_string(status) + ": " + pending_.substr(end + 4)});
  }

  // More of the answer; what there is of it is kept.
  void readOn() { loop_.watch(connection_.get(), POLLIN, [this] { read(); }); }

  void handOn() {
    pending_.erase(0, frames_.write(pending_));
    watch();
  }

  void closed() {
    loop_.unwatch(connection_.get());
    if (!streaming_) {
      finish({0, "the Docker Engine has closed the connection"});
    } else {
      inspect(kLooks);
    }
  }

  void inspect(int looks) {
    engine_.inspectExec(exec_, whileAlive([this, looks](const HttpResponse& response) {
      const Json answer = parseJson(response.body, "answer");
      if (has(answer, "ExitCode") && !boolOr(answer, "Running", false, "answer")) {
        finish({static_cast<int>(integerOr(answer, "ExitCode", -1, "answer")), ""});
      } else if (looks > 1) {
        loop_.after(kLookAgain, [this, looks, alive = std::weak_ptr<int>(alive_)] {
          if (!alive.expired()) inspect(looks - 1);
        });
      } else {
        finish({0, "the Docker Engine does not tell how the command has ended"});
      }
    }));
  }

  void finish(const ExecResult& result) {
    // One that the engine has lost sight of is ended with this.
    ended_ = result.error.empty();
    const auto onEnd = handlers_.onEnd;
    onEnd(result);  // destroys this
  }

  EventLoop& loop_;
  Engine& engine_;
  const ExecHandlers handlers_;
  std::optional<Terminal> terminal_;
  OutputFrames frames_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>();
  std::string exec_;
  FileDescriptor connection_;
  std::string pending_;  // what was read and not handed on yet
  bool streaming_ = false;
  bool inputEnds_ = false;
  bool waitsForRoom_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ExecCommand> ContainerExecs::run(const ExecRequest& request, ExecHandlers handlers) {
  return std::make_unique<ContainerExec>(loop_, engine_, container_, request, std::move(handlers));
}

}  // namespace executor
