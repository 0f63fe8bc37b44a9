// Commands that operators run beside the task (`mesos-docker-scheduler exec`). Scheduler and executor speak through
// framework messages, which Mesos carries without a port of ours. An agent takes such messages from everybody whom it lets
// in, so each has the task's key, which came with the task. Mesos may lose messages, and have one overtake another; so each
// has a number, from 0 on in each session and direction, they are taken in order, and a session in which one stays missing
// ends. A message is the JSON {"exec": {"key": KEY, "session": ID, "number": N, "type": TYPE, ...}}:
//
//   to the executor    START     command, input, terminal {type, rows, columns}
//                      ATTACH    input, terminal: as START, for the task itself
//                      INPUT     data (base64)
//                      END_INPUT
//                      RESIZE    rows, columns
//                      RECEIVED  bytes: so much of the output, of both streams together, has been read. Also says that
//                                somebody is there, and by its number how many messages there must be.
//                      END       ends the command
//   to the scheduler   STARTED
//                      OUTPUT    stream ("stdout", "stderr"), data
//                      TAKEN     bytes: so much of the input the command has taken. Answers each RECEIVED, too.
//                      ENDED     status or error
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "event_loop.hpp"
#include "exec_commands.hpp"
#include "json.hpp"

namespace executor {

class ExecSession;

class ExecSessions {
 public:
  // `send` hands on a message. It must keep the order; what it can't deliver is lost.
  ExecSessions(EventLoop& loop, std::function<void(std::string message)> send);
  ~ExecSessions();

  // The task's key. Without one nothing is run.
  void setKey(std::string key) { key_ = std::move(key); }

  // A message of the scheduler: its bytes. What is none of ours is logged and left. `commands`: null while the task does
  // not run.
  void handle(const std::string& message, ExecCommands* commands);
  // Ends all, for this reason.
  void end(const std::string& why);

 private:
  friend class ExecSession;

  void take(const std::string& id, const Json& body, ExecCommands* commands);
  void start(const std::string& id, bool attaches, const Json& body, ExecCommands* commands);
  void say(const std::string& id, const char* type, Json body);
  void over(std::string id, Json result);
  void close(const std::string& id);
  void awaitMissing(const std::string& id);
  void forgetOver();

  EventLoop& loop_;
  const std::function<void(std::string)> send_;
  std::string key_;
  std::map<std::string, std::unique_ptr<ExecSession>> sessions_;
  // Of each session that was heard of: what it expects, what has come before its time, and what it says next.
  struct Order {
    int64_t next = 0;
    int64_t said = 0;
    std::map<int64_t, Json> early;
    EventLoop::TimerId missing = 0;
    bool over = false;
  };
  std::map<std::string, Order> orders_;
};

}  // namespace executor
