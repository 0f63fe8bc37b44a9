// A task of a group: a container inside of the executor's, which the agent launches, watches and kills.
#pragma once

#include <functional>
#include <string>

#include "agent_calls.hpp"
#include "session_checks.hpp"
#include "task_lifecycle.hpp"

namespace executor {

class PodTask : public TaskLifecycle {
 public:
  struct Handlers {
    std::function<void(const std::string& state)> onEnded;  // that is reported
    std::function<void()> onFinished;                       // and acknowledged
  };

  // `parent`: the id of the executor's container. `address`: its IP address.
  PodTask(EventLoop& loop, AgentConnection& agent, AgentCalls& calls, SandboxFiles& files, TaskSettings settings,
          const Json& parent, std::string address, Handlers handlers);
  ~PodTask() override;

 protected:
  void begin() override;
  void cancelStart() override { killNow(); }
  void stop(Duration) override;
  void killNow() override;
  void explainEnd() override { reportEnd("", false); }
  std::string describeEnd() const override;
  void cleanUp() override { finish(); }
  CheckCommands& checkCommands() override { return checks_; }
  void addContainerStatus(Json& update) const override;
  void adjustEnd(Json& update) const override;
  void reported(const Json& update) override;

 private:
  void launched(const HttpResponse& response);
  void findOut();
  void linkSandbox() const;
  void waited(const HttpResponse& response);
  void sendSignal(int signal);

  AgentCalls& calls_;
  const Json container_;
  const std::string address_;
  const std::function<void(const std::string&)> onEnded_;
  SessionChecks checks_;
  AgentCalls::CallId launch_ = 0;
  AgentCalls::CallId wait_ = 0;
  AgentCalls::CallId kill_ = 0;
  Json termination_;  // what the agent says of the container's end
};

}  // namespace executor
