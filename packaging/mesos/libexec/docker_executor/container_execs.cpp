#include "container_execs.hpp"

#include <optional>
#include <stdexcept>

#include "attached_task.hpp"
#include "engine_answers.hpp"
#include "exec_end.hpp"
#include "hijacked_stream.hpp"
#include "output_frames.hpp"

namespace executor {
namespace {

// The engine may close the streams a moment before it knows how the command has ended.
constexpr Duration kLookAgain = std::chrono::milliseconds(50);
constexpr int kLooks = 100;
// What tells the engine that somebody leaves a terminal, and not that its input has ended. By default it is Ctrl-P Ctrl-Q,
// and then each Ctrl-P waits for the next key: so it is what nobody types.
const char* const kLeaveKeys = "ctrl-\\,ctrl-],ctrl-^,ctrl-_";
constexpr std::string_view kLeave = "\34\35\36\37";

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
    if (terminal_) {
      command["Env"] = {"TERM=" + terminal_->type};
      command["DetachKeys"] = kLeaveKeys;
      command["ConsoleSize"] = {terminal_->rows, terminal_->columns};  // engines since 23.0
    }
    engine_.createExec(container, std::move(command), answers_.to([this](const HttpResponse& response) {
      open(textOr(parseJson(response.body, "answer"), "Id", "", "answer"));
    }));
  }

  ~ContainerExec() override {
    if (!exec_.empty() && !ended_) endExec(loop_, engine_, exec_);
  }

  // What is typed comes after the size that the terminal had then.
  size_t write(std::string_view bytes) override { return stream_ && resizing_ == 0 ? stream_->write(bytes) : 0; }

  void endInput() override {
    inputEnds_ = true;
    if (stream_) stream_->endInput();
  }

  void resize(int64_t rows, int64_t columns) override {
    if (!terminal_) return;
    terminal_->rows = rows;
    terminal_->columns = columns;
    if (stream_ && stream_->open()) tellSize();
  }

  void resume() override {
    if (stream_) stream_->resume();
  }

 private:
  void open(const std::string& exec) {
    HijackedStream::Handlers handlers;
    handlers.onOpen = [this] {
      if (terminal_) {
        tellSize();
      } else {
        handlers_.onRoom();
      }
    };
    handlers.onData = [this](std::string_view bytes) { return frames_.write(bytes); };
    handlers.onRoom = handlers_.onRoom;
    handlers.onEnd = [this](const std::string& error) {
      if (error.empty()) {
        inspect(kLooks);
      } else {
        finish({0, error});
      }
    };
    stream_ = std::make_unique<HijackedStream>(loop_, engine_.openExec(exec, terminal_.has_value()),
                                               std::move(handlers));
    exec_ = exec;
    if (inputEnds_) stream_->endInput();
  }

  void tellSize() {
    ++resizing_;
    engine_.resizeExec(exec_, terminal_->rows, terminal_->columns,
                       [this, alive = answers_.alive()](const HttpResponse&) {
                         if (!alive.expired() && --resizing_ == 0) handlers_.onRoom();
                       });
  }

  void inspect(int looks) {
    engine_.inspectExec(exec_, answers_.to([this, looks](const HttpResponse& response) {
      const Json answer = parseJson(response.body, "answer");
      if (has(answer, "ExitCode") && !boolOr(answer, "Running", false, "answer")) {
        finish({static_cast<int>(integerOr(answer, "ExitCode", -1, "answer")), ""});
      } else if (looks > 1) {
        loop_.after(kLookAgain, [this, looks, alive = answers_.alive()] {
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
  const EngineAnswers answers_{[this](const std::string& error) { finish({0, error}); }};
  std::string exec_;
  std::unique_ptr<HijackedStream> stream_;
  int resizing_ = 0;  // sizes that the engine has not answered for yet
  bool inputEnds_ = false;
  bool ended_ = false;
};

// What a container reads. Its output goes elsewhere.
class ContainerInput : public TaskInput {
 public:
  ContainerInput(EventLoop& loop, Engine& engine, const std::string& container, bool terminal,
                 const ExecHandlers& handlers)
      : engine_(engine), container_(container), terminal_(terminal) {
    HijackedStream::Handlers stream;
    stream.onOpen = stream.onRoom = handlers.onRoom;
    stream.onData = [](std::string_view bytes) { return bytes.size(); };
    stream.onEnd = [onEnd = handlers.onEnd](const std::string& error) {
      if (!error.empty()) onEnd({0, error});  // else the container's end follows
    };
    stream_ = std::make_unique<HijackedStream>(loop, engine.attachInput(container, kLeaveKeys), std::move(stream));
  }

  ~ContainerInput() override {
    if (terminal_ && stream_->open()) stream_->write(kLeave);
  }

  size_t write(std::string_view bytes) override { return stream_->write(bytes); }
  void endInput() override {
    if (!terminal_) stream_->endInput();
  }
  void resize(int64_t rows, int64_t columns) override {
    if (terminal_) engine_.resize(container_, rows, columns, nullptr);
  }

 private:
  Engine& engine_;
  const std::string container_;
  const bool terminal_;
  std::unique_ptr<HijackedStream> stream_;
};

}  // namespace

std::unique_ptr<ExecCommand> ContainerExecs::run(const ExecRequest& request, ExecHandlers handlers) {
  return std::make_unique<ContainerExec>(loop_, engine_, container_, request, std::move(handlers));
}

std::unique_ptr<ExecCommand> ContainerExecs::attach(const ExecRequest& request, ExecHandlers handlers) {
  std::unique_ptr<TaskInput> input;
  if (request.input) {
    if (!openInput_) {
      throw std::runtime_error("the container has no standard input: its service needs the parameter interactive");
    }
    input = std::make_unique<ContainerInput>(loop_, engine_, container_, terminal_, handlers);
    if (request.terminal) input->resize(request.terminal->rows, request.terminal->columns);
  }
  return std::make_unique<AttachedTask>(loop_, files_, std::move(input), std::move(handlers));
}

}  // namespace executor
