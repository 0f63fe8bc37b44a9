#include "container_checks.hpp"

#include "engine_answers.hpp"
#include "exec_end.hpp"
#include "output_stream.hpp"

namespace executor {
namespace {

class ContainerCheck : public CheckCommand {
 public:
  ContainerCheck(EventLoop& loop, Engine& engine, SandboxFile& output, const std::string& container,
                 const CheckSpec& spec, CheckCommands::Done done)
      : loop_(loop), engine_(engine), output_(output, output, true), done_(std::move(done)) {
    // Like Mesos' docker executor: all arguments follow the program, none is its name.
    std::vector<std::string> words{spec.program};
    words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
    Json command = {{"Cmd", words}};
    if (!spec.environment.empty()) command["Env"] = spec.environment;
    engine_.createExec(container, std::move(command), answers_.to([this](const HttpResponse& response) {
      start(textOr(parseJson(response.body, "answer"), "Id", "", "answer"));
    }));
  }

  ~ContainerCheck() override {
    if (running_) endExec(loop_, engine_, exec_);
  }

 private:
  void start(const std::string& exec) {
    exec_ = exec;
    HttpHandlers handlers;
    handlers.onData = [this](std::string_view bytes) {
      output_.write(bytes);
      return bytes.size();
    };
    handlers.onDone = [this](const HttpResponse&) { ended(); };
    running_ = engine_.startExec(exec_, std::move(handlers));
  }

  void ended() {
    running_.reset();
    engine_.inspectExec(exec_, answers_.to([this](const HttpResponse& response) {
      const int64_t code = integerOr(parseJson(response.body, "answer"), "ExitCode", -1, "answer");
      finish({static_cast<int>(code), ""});
    }));
  }

  void finish(const CheckResult& result) {
    const auto done = done_;
    done(result);  // destroys this
  }

  EventLoop& loop_;
  Engine& engine_;
  OutputStream output_;
  const CheckCommands::Done done_;
  const EngineAnswers answers_{[this](const std::string& error) { finish({std::nullopt, error}); }};
  std::string exec_;
  std::unique_ptr<HttpTransfer> running_;
};

}  // namespace

std::unique_ptr<CheckCommand> ContainerChecks::run(const CheckSpec& spec, Done done) {
  return std::make_unique<ContainerCheck>(loop_, engine_, output_, container_, spec, std::move(done));
}

}  // namespace executor
