// A Docker task: create, arm (attach and wait), start, confirm, run, end, remove. Each step is taken when the one before
// has succeeded; a kill can come in any of them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "children.hpp"
#include "container_checks.hpp"
#include "container_execs.hpp"
#include "container_output.hpp"
#include "docker_arguments.hpp"
#include "engine.hpp"
#include "guard.hpp"
#include "oom_counter.hpp"
#include "task_lifecycle.hpp"

namespace executor {

struct DockerSettings {
  std::string program;
  std::string socket;
  CreateContext create;
};

class DockerTask : public TaskLifecycle {
 public:
  DockerTask(EventLoop& loop, Engine& engine, AgentConnection& agent, Guard& guard, SandboxFiles& files,
             DockerSettings docker, TaskSettings settings, std::function<void()> onFinished);
  ~DockerTask() override;

 protected:
  void begin() override;
  void cancelStart() override;
  void stop(Duration grace) override;
  void killNow() override;
  void drainOutput(std::function<void()> done) override;
  void explainEnd() override;
  std::string describeEnd() const override;
  void cleanUp() override;
  CheckCommands& checkCommands() override { return checks_; }
  ExecCommands* execCommands() override { return &execs_; }
  void addContainerStatus(Json& update) const override;

 private:
  enum class Step { Creating, Arming, Starting, Confirming };

  bool at(Step step) const { return phase() == Phase::Starting && step_ == step; }
  void created(const ChildResult& result);
  void arm();
  void inspectedBeforeStart(const HttpResponse& response);
  void armed(const std::string& what, const std::string& error);
  void start();
  void started(const HttpResponse& response);
  void confirm();
  void confirmed(const HttpResponse& response);
  void seenRunning(const Json& inspected, const std::string& document);
  void watchForEnd(const std::string& condition);
  void waitDone(const HttpResponse& response);
  void findAgain();
  void foundAgain(const HttpResponse& response);
  void watchProcess(pid_t pid);
  void removeContainer();

  Engine& engine_;
  Guard& guard_;
  const DockerSettings docker_;
  ContainerChecks checks_;
  ContainerExecs execs_;
  ContainerOutput output_;

  Step step_ = Step::Creating;
  Secrets secrets_;
  std::string container_;         // the engine's id, the name until it is known
  bool containerMayExist_ = false;
  bool creationAborted_ = false;  // the engine may still be at it
  int unarmed_ = 0;
  std::optional<Json> networkInfo_;
  Clock::time_point removalDeadline_;

  std::unique_ptr<Child> creation_;
  std::unique_ptr<HttpTransfer> wait_;
  FileDescriptor process_;  // pidfd of the container's first process
  OomCounter oomCounter_;
  bool outOfMemory_ = false;
  EventLoop::TimerId retryTimer_ = 0;
  EventLoop::TimerId outputTimer_ = 0;
  EventLoop::TimerId processTimer_ = 0;
};

}  // namespace executor
