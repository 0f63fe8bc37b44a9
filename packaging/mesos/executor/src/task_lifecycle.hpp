// The life of the one task: create, arm (attach and wait), start, confirm, run, end, report, remove. Each step is
// taken when the one before has succeeded; a kill can come in any of them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent_connection.hpp"
#include "children.hpp"
#include "container_output.hpp"
#include "docker_arguments.hpp"
#include "engine.hpp"
#include "event_loop.hpp"
#include "guard.hpp"
#include "oom_counter.hpp"
#include "task_checks.hpp"

namespace executor {

struct TaskSettings {
  std::string dockerProgram;
  std::string dockerSocket;
  CreateContext create;
  std::map<std::string, std::string> containerLogger;  // see output_limits.hpp
  Duration killGracePeriod{};      // when neither the task nor the kill says one
  Duration shutdownGracePeriod{};  // what the agent waits after SHUTDOWN
};

class TaskLifecycle {
 public:
  // `onFinished` is called once, when the process has nothing left to do.
  TaskLifecycle(EventLoop& loop, Engine& engine, AgentConnection& agent, Guard& guard, SandboxFiles& files,
                TaskSettings settings, std::function<void()> onFinished);
  ~TaskLifecycle();

  // An event of the agent's stream.
  void handle(const Json& event);
  // The agent won't come back: stop the container, nobody will acknowledge its end.
  void agentLost(const std::string& reason);
  // SIGTERM: like SHUTDOWN; a second one doesn't wait for the container's grace period.
  void terminate();

 private:
  enum class Phase { Idle, Creating, Arming, Starting, Confirming, Running, Ending, Reported, Removing, Finished };
  enum class KillCause { Request, Shutdown, Unhealthy, CompletionTime };

  void launch(const Json& task);
  void refuse(const Json& task, const std::string& message);
  void limitOutput();
  void create(const CreateArguments& arguments);
  void created(const ChildResult& result);
  void arm();
  void inspectedBeforeStart(const HttpResponse& response);
  void armed(const std::string& what, const std::string& error);
  void start();
  void started(const HttpResponse& response);
  void confirm();
  void confirmed(const HttpResponse& response);
  void running(const Json& inspected, const std::string& document);
  void watchForEnd(const std::string& condition);
  void waitDone(const HttpResponse& response);
  void findAgain();
  void foundAgain(const HttpResponse& response);
  void watchProcess(pid_t pid);
  void exited(std::optional<int> status);
  void end();
  void report(Json status);
  void reportEnd(const std::string& engineError);
  void failLaunch(const std::string& message, const char* reason);
  void checkAcknowledged();
  void giveUpOnAcknowledgement();
  void remove();
  void removeContainer();
  void finish();

  void killRequested(const Json& kill);
  void shutdown(const std::string& why);
  void kill(KillCause cause, Duration grace);
  void stop();
  void forceKill();

  Duration gracePeriod(const Json& killRequest) const;

  Json status(const char* state) const;
  void sendRunning(Json update);

  EventLoop& loop_;
  Engine& engine_;
  AgentConnection& agent_;
  Guard& guard_;
  SandboxFiles& files_;
  const TaskSettings settings_;
  const std::function<void()> onFinished_;

  Phase phase_ = Phase::Idle;
  Json task_;
  std::string taskId_;
  std::string container_;         // the engine's id, the name until it is known
  bool containerMayExist_ = false;
  bool creationAborted_ = false;  // the engine may still be at it
  int unarmed_ = 0;
  std::optional<Json> networkInfo_;
  bool ended_ = false;
  std::optional<int> exitStatus_;  // of an ended container, none if the engine could not tell
  std::optional<KillCause> killed_;
  Clock::time_point killDeadline_;
  bool agentLost_ = false;
  bool terminated_ = false;
  std::string terminalUpdate_;
  Clock::time_point removalDeadline_;

  std::unique_ptr<TaskChecks> checks_;
  std::unique_ptr<Child> creation_;
  ContainerOutput output_;
  std::unique_ptr<HttpTransfer> wait_;
  FileDescriptor process_;  // pidfd of the container's first process
  OomCounter oomCounter_;
  bool outOfMemory_ = false;
  EventLoop::TimerId completionTimer_ = 0;
  EventLoop::TimerId killTimer_ = 0;
  EventLoop::TimerId retryTimer_ = 0;
  EventLoop::TimerId processTimer_ = 0;
  EventLoop::TimerId acknowledgeTimer_ = 0;
};

}  // namespace executor
