// The life of an executor's one task, as far as it is the same for all of them: launch, run, check, kill, end, report,
// clean up. What runs the task is a class derived from this one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent_connection.hpp"
#include "children.hpp"
#include "event_loop.hpp"
#include "exec_commands.hpp"
#include "exec_sessions.hpp"
#include "sandbox_file.hpp"
#include "secret_fetch.hpp"
#include "task_checks.hpp"

namespace executor {

struct TaskSettings {
  std::string executorKind;                            // for messages: "docker" or "command"
  std::map<std::string, std::string> containerLogger;  // see output_limits.hpp
  std::optional<FetchSettings> fetch;                  // none: task.data is the framework's own
  Duration killGracePeriod{};      // when neither the task nor the kill says one
  Duration shutdownGracePeriod{};  // what the agent waits after SHUTDOWN
};

class TaskLifecycle {
 public:
  // `onFinished` is called once, when the process has nothing left to do.
  TaskLifecycle(EventLoop& loop, AgentConnection& agent, SandboxFiles& files, TaskSettings settings,
                std::function<void()> onFinished);
  virtual ~TaskLifecycle() = default;
  TaskLifecycle(const TaskLifecycle&) = delete;
  TaskLifecycle& operator=(const TaskLifecycle&) = delete;

  // An event of the agent's stream.
  void handle(const Json& event);
  // The task to run, when no event brings it.
  void launch(const Json& task);
  // Kills the task because another one of its group has ended.
  void endWithGroup();
  // The agent won't come back: stop the task, nobody will acknowledge its end.
  void agentLost(const std::string& reason);
  // SIGTERM: like SHUTDOWN; a second one doesn't wait for the task's grace period.
  void terminate();

 protected:
  enum class Phase { Idle, Starting, Running, Ending, Reported, CleaningUp, Finished };
  enum class KillCause { Request, Shutdown, Unhealthy, CompletionTime };

  // --- What a derived class does. Each may take its time; what it calls in the end is said with it.

  // Starts task(): running() or failLaunch(). Throws InvalidField for what it can't honour, and std::runtime_error.
  virtual void begin() = 0;
  // A kill came while it starts: reportEnd(), at once or when the step under way has found killed(). Never running().
  virtual void cancelStart() = 0;
  // Asks the running task to end within `grace`: exited().
  virtual void stop(Duration grace) = 0;
  // Ends it at once, in whatever phase; is called again while the task has not ended.
  virtual void killNow() = 0;
  // The running task has ended: calls `done` when all that it has written is in the sandbox, or was waited for long enough.
  virtual void drainOutput(std::function<void()> done) { done(); }
  // Then: reportEnd() with what can be said of that. Not called for one that was killed.
  virtual void explainEnd() = 0;
  // How it has ended, for people.
  virtual std::string describeEnd() const = 0;
  // Removes what is left of the task: finish().
  virtual void cleanUp() = 0;
  virtual CheckCommands& checkCommands() = 0;
  // Null where operators can't run any.
  virtual ExecCommands* execCommands() { return nullptr; }
  // Adds to every update what is known of the container.
  virtual void addContainerStatus(Json&) const {}
  // Changes the last update where more is known of the end than its status.
  virtual void adjustEnd(Json&) const {}
  // The last update is on its way.
  virtual void reported(const Json&) {}

  // --- What it says to this class

  // Sends the TASK_RUNNING update and begins with the checks, in the network namespace of `process` (0: our own).
  void running(Json update, pid_t process);
  // The task has ended with this status as waitpid gives it, none if nobody can tell. May come before running().
  void exited(std::optional<int> status);
  // What operators run beside it must not be waited for.
  void endExecs() { execs_.end("the task has ended"); }
  void reportEnd(const std::string& detail, bool outOfMemory);
  void failLaunch(const std::string& message, const char* reason);
  void finish();

  Json status(const char* state) const;
  const Json& task() const { return task_; }
  // What taskData() finds in it.
  const Json& data() const { return data_; }
  const std::string& taskId() const { return taskId_; }
  Phase phase() const { return phase_; }
  bool killed() const { return killed_.has_value(); }
  // When the grace period of the kill is over.
  Clock::time_point killDeadline() const { return killDeadline_; }
  bool ended() const { return ended_; }
  std::optional<int> exitStatus() const { return exitStatus_; }

  static const char kLaunchFailed[];
  static const char kTaskInvalid[];

  EventLoop& loop_;
  SandboxFiles& files_;

 private:
  void messaged(const Json& event);
  void attempt(const std::function<void()>& step);
  void fetched(const std::string& error);
  void refuse(const Json& task, const std::string& message);
  void limitOutput();
  void limitCompletionTime();
  void makeChecks();
  void sendRunning(Json update);
  void end();
  void report(Json update);
  void checkAcknowledged();
  void giveUpOnAcknowledgement();
  void cleanUpOnce();

  void killRequested(const Json& request);
  void shutdown(const std::string& why);
  void kill(KillCause cause, Duration grace);
  void stopRunning();
  void forceKill();
  Duration gracePeriod(const Json& killRequest) const;

  AgentConnection& agent_;
  const TaskSettings settings_;
  const std::function<void()> onFinished_;

  Phase phase_ = Phase::Idle;
  Json task_;
  Json data_;
  std::string taskId_;
  bool ended_ = false;
  std::optional<int> exitStatus_;
  std::optional<KillCause> killed_;
  Clock::time_point killDeadline_;
  bool agentLost_ = false;
  bool terminated_ = false;
  std::string terminalUpdate_;

  std::unique_ptr<Child> fetch_;  // while the task waits for it
  std::unique_ptr<TaskChecks> checks_;
  ExecSessions execs_;
  EventLoop::TimerId completionTimer_ = 0;
  EventLoop::TimerId killTimer_ = 0;
  EventLoop::TimerId acknowledgeTimer_ = 0;
};

}  // namespace executor
