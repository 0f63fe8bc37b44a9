// The program's only loop: HTTP transfers (libcurl), file descriptors, timers, ended children and signals are all
// served by one thread, so nothing here needs a lock and fork() is safe at any time.
#pragma once

#include <curl/curl.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>

#include "duration.hpp"
#include "file_descriptor.hpp"

namespace executor {

class EventLoop {
 public:
  using TimerId = uint64_t;  // 0 is no timer

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Calls `action` once after `delay`.
  TimerId after(Duration delay, std::function<void()> action);
  // Forgets a timer and resets `id`; a timer that has fired or was never set is no error.
  void cancel(TimerId& id);

  // Calls `action` whenever `fd` has one of `events` (POLLIN, POLLOUT; POLLHUP and POLLERR always count).
  void watch(int fd, short events, std::function<void()> action);
  void unwatch(int fd);

  // Calls `action` with the wait status when the child has ended.
  void onChildEnd(pid_t child, std::function<void(int)> action);

  // Calls `action` for SIGTERM and SIGINT, which no longer end the program.
  void onTerminate(std::function<void()> action) { onTerminate_ = std::move(action); }

  // For HttpClient: its transfers run inside this loop, `action` runs after each round of them.
  CURLM* transfers() { return transfers_; }
  void onTransferProgress(std::function<void()> action) { onTransferProgress_ = std::move(action); }

  void run();
  void stop() { running_ = false; }

 private:
  struct Watch {
    uint64_t id;  // descriptors are reused, this is not
    short events;
    std::function<void()> action;
  };
  struct Timer {
    Clock::time_point due;
    std::function<void()> action;
  };

  void serveDescriptors();
  void readSignals();
  void reapChildren();
  void runDueTimers();
  int millisecondsToNextTimer() const;

  CURLM* transfers_;
  FileDescriptor signals_;
  bool running_ = false;
  TimerId lastTimer_ = 0;
  uint64_t lastWatch_ = 0;
  std::map<TimerId, Timer> timers_;
  std::map<int, Watch> watches_;
  std::map<pid_t, std::function<void(int)>> children_;
  std::function<void()> onTerminate_;
  std::function<void()> onTransferProgress_;
};

// Undoes the loop's signal mask: for a child between fork and exec.
void restoreSignals();

}  // namespace executor
