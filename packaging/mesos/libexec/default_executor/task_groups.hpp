// The tasks of an executor that runs several, in groups: those of a group end together.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent_calls.hpp"
#include "pod_task.hpp"

namespace executor {

class TaskGroups {
 public:
  // `address`: the IP address of the executor's container. `onFinished` is called when there is nothing left to do.
  TaskGroups(EventLoop& loop, AgentConnection& agent, AgentCalls& calls, SandboxFiles& files, TaskSettings settings,
             std::string address, std::function<void()> onFinished);

  // An event of the agent's stream.
  void handle(const Json& event);
  // The agent won't come back. When it does so all the same, it ends what is left of the containers.
  void agentLost(const std::string& reason);
  // SIGTERM: like SHUTDOWN.
  void terminate();

 private:
  struct Member {
    std::unique_ptr<PodTask> task;
    unsigned group;
  };

  void launch(const Json& group);
  void refuse(const Json& task);
  void ended(unsigned group, const std::string& state);
  void forget(const std::string& taskId, unsigned group);
  void finishWithoutTasks();

  EventLoop& loop_;
  AgentConnection& agent_;
  AgentCalls& calls_;
  SandboxFiles& files_;
  const TaskSettings settings_;
  const std::string address_;
  const std::function<void()> onFinished_;

  Json container_;  // the executor's
  std::map<std::string, Member> tasks_;
  unsigned groups_ = 0;
};

}  // namespace executor
