// What makes a restarted agent recover this executor.
//
// Mesos' DockerContainerizer recovers a run only if its executor has checkpointed a libprocess pid, takes it for dead
// unless a TCP connection to that address succeeds, and removes the containers of all others as orphans. Executors of
// the HTTP API have no such pid. So this one listens on a loopback port and writes the pid itself, where the agent
// would have: <work_dir>/meta/slaves/S/frameworks/F/executors/E/runs/C/pids/libprocess.pid.
// See docs/decisions/executor-recovery.md.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "event_loop.hpp"

namespace executor {

// The folder of checkpointed pids that belongs to a sandbox, or "" when `sandbox` is not
// <work_dir>/slaves/S/frameworks/F/executors/E/runs/C.
std::string pidsFolderOf(const std::string& sandbox);

class RecoveryEndpoint {
 public:
  // Listens, and publishes the address for the sandbox. `onContact` is called when somebody connects: a recovering
  // agent does, first to probe and then, when it takes subscriptions, with a message that asks to reconnect.
  // Throws std::runtime_error when the address can't be published.
  RecoveryEndpoint(EventLoop& loop, const std::string& sandbox, std::function<void()> onContact);
  ~RecoveryEndpoint();

 private:
  void accept();
  void drain(int fd);

  EventLoop& loop_;
  const std::function<void()> onContact_;
  FileDescriptor listener_;
  std::map<int, FileDescriptor> connections_;
};

}  // namespace executor
