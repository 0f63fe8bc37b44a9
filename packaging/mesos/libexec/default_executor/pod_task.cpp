#include "pod_task.hpp"

#include <signal.h>

#include <filesystem>

#include "base64.hpp"
#include "log.hpp"
#include "nested_container.hpp"
#include "wait_status.hpp"

namespace executor {

PodTask::PodTask(EventLoop& loop, AgentConnection& agent, AgentCalls& calls, SandboxFiles& files, TaskSettings settings,
                 const Json& parent, std::string address, Handlers handlers)
    : TaskLifecycle(loop, agent, files, std::move(settings), std::move(handlers.onFinished)),
      calls_(calls),
      container_({{"parent", parent}, {"value", randomUuidText()}}),
      address_(std::move(address)),
      onEnded_(std::move(handlers.onEnded)),
      checks_(calls, files.err, container_) {}

PodTask::~PodTask() {
  for (AgentCalls::CallId* call : {&launch_, &wait_, &kill_}) calls_.forget(*call);
}

// --- Start

void PodTask::begin() {
  launch_ = calls_.sendOnce("LAUNCH_CONTAINER", launchOf(task(), container_, address_),
                            [this](const HttpResponse& response) { launched(response); });
}

// Whether an agent that has died has launched the container before: no command runs twice. GET_CONTAINERS can't tell: with
// an executor's token it lists none. A signal destroys a container that has no process yet, but so does the agent itself,
// when it starts again or the connection of the launch has ended.
void PodTask::findOut() {
  constexpr int kIsItThere = 0;
  launch_ = calls_.send("KILL_NESTED_CONTAINER", {{"container_id", container_}, {"signal", kIsItThere}},
                        [this](const HttpResponse& response) {
                          if (response.status != 404) return launched(response);
                          wait_ = calls_.send("WAIT_NESTED_CONTAINER", {{"container_id", container_}},
                                              [this](const HttpResponse& answer) {
                                                if (answer.status != 404 || killed()) return waited(answer);
                                                begin();
                                              });
                        });
}

void PodTask::launched(const HttpResponse& response) {
  if (response.status == 0) return findOut();
  if (!response.ok()) {
    if (killed()) {
      reportEnd("", false);
    } else {
      failLaunch("The container can't be launched: " + response.describe(), kLaunchFailed);
    }
    return;
  }
  wait_ = calls_.send("WAIT_NESTED_CONTAINER", {{"container_id", container_}},
                      [this](const HttpResponse& answer) { waited(answer); });
  if (killed()) {
    killNow();
    return;
  }
  linkSandbox();
  running(status("TASK_RUNNING"), 0);
}

// tasks/<task id>: by the name of the task, which is not that of its sandbox.
void PodTask::linkSandbox() const {
  const std::filesystem::path link = std::filesystem::path("tasks") / taskId();
  const std::filesystem::path sandbox =
      std::filesystem::current_path() / "containers" / container_["value"].get<std::string>();
  std::error_code error;
  std::filesystem::create_directory(link.parent_path(), error);
  std::filesystem::remove(link, error);  // of an earlier task of this id
  std::filesystem::create_directory_symlink(sandbox, link, error);
  if (error) logWarning("Can't make the link " + link.string() + ": " + error.message());
}

void PodTask::addContainerStatus(Json& update) const { update["container_status"]["container_id"] = container_; }

// --- End

void PodTask::waited(const HttpResponse& response) {
  std::optional<int> status;
  if (response.ok()) {
    termination_ = member(parseJson(response.body, "the agent's answer"), "wait_nested_container", "answer");
    if (has(termination_, "exit_status")) {
      status = static_cast<int>(integerOr(termination_, "exit_status", 0, "wait_nested_container"));
    }
  } else {
    termination_ = {{"message", response.describe()}};
    if (response.status != 404) killNow();  // it may run on, and nobody would know
  }
  const bool starting = phase() == Phase::Starting;
  exited(status);
  if (starting) reportEnd("", false);
}

std::string PodTask::describeEnd() const {
  if (!ended()) return "Command was not started";
  std::string text = "Command " + (exitStatus() ? describeWaitStatus(*exitStatus()) : "terminated with unknown status");
  const std::string message = textOr(termination_, "message", "", "wait_nested_container");
  return message.empty() ? text : text + ": " + message;
}

// The agent knows of limits that the container has met.
void PodTask::adjustEnd(Json& update) const {
  for (const char* field : {"state", "reason", "limitation"}) {
    if (has(termination_, field)) update[field] = termination_[field];
  }
}

void PodTask::reported(const Json& update) { onEnded_(textOr(update, "state", "", "status")); }

// --- Kill

void PodTask::stop(Duration) { sendSignal(SIGTERM); }

void PodTask::killNow() { sendSignal(SIGKILL); }

void PodTask::sendSignal(int signal) {
  calls_.forget(kill_);  // while the agent is away, the latest is enough
  kill_ = calls_.send("KILL_NESTED_CONTAINER", {{"container_id", container_}, {"signal", signal}},
                      [this](const HttpResponse& response) {
                        // 404 is a container that has ended, or is not there yet.
                        if (!response.ok() && response.status != 404) {
                          logWarning("The agent could not kill task " + taskId() + ": " + response.describe());
                        }
                      });
}

}  // namespace executor
