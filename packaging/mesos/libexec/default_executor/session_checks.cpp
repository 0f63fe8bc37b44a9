#include "session_checks.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <optional>
#include <utility>

#include "base64.hpp"
#include "log.hpp"
#include "recordio.hpp"

namespace executor {
namespace {

Json commandOf(const CheckSpec& spec) {
  Json variables = Json::array();
  for (const std::string& variable : spec.environment) {
    const size_t equals = variable.find('=');
    variables.push_back({{"name", variable.substr(0, equals)}, {"value", variable.substr(equals + 1)}});
  }
  Json arguments = spec.arguments;
  if (spec.shell) arguments.insert(arguments.begin(), spec.program);
  return {{"shell", false},
          {"value", spec.program},
          {"arguments", std::move(arguments)},
          {"environment", {{"variables", std::move(variables)}}}};
}

std::optional<int> exitStatusOf(const HttpResponse& response) {
  if (!response.ok()) return std::nullopt;
  const Json end = member(parseJson(response.body, "the agent's answer"), "wait_nested_container", "answer");
  if (!has(end, "exit_status")) return std::nullopt;
  return static_cast<int>(integerOr(end, "exit_status", 0, "wait_nested_container"));
}

// The command runs for as long as somebody listens to its session.
class Session : public CheckCommand {
 public:
  Session(AgentCalls& calls, SandboxFile& output, Json containerId, const CheckSpec& spec, CheckCommands::Done done)
      : calls_(calls),
        output_(output),
        container_({{"container_id", std::move(containerId)}}),
        done_(std::make_shared<CheckCommands::Done>(std::move(done))) {
    Json launch = container_;
    launch["command"] = commandOf(spec);
    HttpHandlers handlers;
    handlers.onHeaders = [this](const HttpResponse& response) { launched_ = response.status == 200; };
    handlers.onData = [this](std::string_view bytes) { return read(bytes); };
    handlers.onDone = [this](const HttpResponse& response) { ended(response); };
    transfer_ = calls_.stream("LAUNCH_NESTED_CONTAINER_SESSION", launch, std::move(handlers));
  }

  ~Session() override {
    *done_ = nullptr;
    transfer_.reset();
    if (!over_) waitAndRemove();
  }

 private:
  size_t read(std::string_view bytes) {
    if (!launched_) {
      refusal_ += bytes;
      return bytes.size();
    }
    try {
      for (const std::string& record : decoder_.feed(bytes)) {
        const Json data = member(parseJson(record, "the output of a check"), "data", "ProcessIO");
        output_.write(fromBase64(textOr(data, "data", "", "data")));
      }
    } catch (const std::exception& error) {
      logWarning(std::string("The output of a check can't be read: ") + error.what());
      decoder_ = RecordDecoder();
    }
    return bytes.size();
  }

  void ended(const HttpResponse& response) {
    over_ = true;
    if (response.ok()) {
      waitAndRemove();
      return;
    }
    // An agent that is away has launched nothing, and one that comes back ends the sessions of its predecessor.
    if (!AgentCalls::isAway(response)) waitAndRemove();
    logWarning("A check could not be launched: " + (response.status == 0 ? response.error : refusal_));
    answer(done_, {std::nullopt, "", true});
  }

  // Without the latter, what the agent keeps of it would add up.
  void waitAndRemove() {
    AgentCalls& calls = calls_;
    calls.send("WAIT_NESTED_CONTAINER", container_,
               [&calls, container = container_, done = done_](const HttpResponse& response) {
                 calls.send("REMOVE_NESTED_CONTAINER", container, [](const HttpResponse&) {});
                 answer(done, resultOf(exitStatusOf(response)));
               });
  }

  // At most once. It may destroy the session.
  static void answer(const std::shared_ptr<CheckCommands::Done>& done, const CheckResult& result) {
    const CheckCommands::Done asked = std::exchange(*done, nullptr);
    if (asked) asked(result);
  }

  static CheckResult resultOf(std::optional<int> status) {
    // The agent lost it. One that was killed counts: of a task that has ended nobody asks any more.
    if (!status) return {std::nullopt, "", true};
    return commandResult(*status);
  }

  AgentCalls& calls_;
  SandboxFile& output_;
  const Json container_;
  const std::shared_ptr<CheckCommands::Done> done_;  // empty when nobody asks any more
  std::unique_ptr<HttpTransfer> transfer_;
  RecordDecoder decoder_;
  std::string refusal_;
  bool launched_ = false;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<CheckCommand> SessionChecks::run(const CheckSpec& spec, Done done) {
  Json container = {{"parent", container_}, {"value", "check-" + randomUuidText()}};
  return std::make_unique<Session>(calls_, output_, std::move(container), spec, std::move(done));
}

}  // namespace executor
