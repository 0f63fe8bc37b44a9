// Follows what a container writes, from before its start to its end, into the sandbox's stdout and stderr.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine.hpp"
#include "event_loop.hpp"
#include "output_stream.hpp"

namespace executor {

class ContainerOutput {
 public:
  ContainerOutput(EventLoop& loop, Engine& engine, SandboxFiles& files)
      : loop_(loop), engine_(engine), files_(files) {}
  ~ContainerOutput();

  // Whether the container has a terminal (see OutputStream); must be known before it writes.
  void setTerminal(bool terminal) { terminal_ = terminal; }

  // Attaches to the container. `onAttached` is called once: with "" when nothing can be missed any more, else with
  // what went wrong.
  void attach(const std::string& container, std::function<void(const std::string& error)> onAttached);

  // All that the container wrote is in the sandbox (or it was never attached).
  bool complete() const { return !transfer_; }
  // Calls `action` when that has come true.
  void onComplete(std::function<void()> action) { onComplete_ = std::move(action); }

 private:
  size_t receive(std::string_view bytes);
  void stopWaiting();

  EventLoop& loop_;
  Engine& engine_;
  SandboxFiles& files_;
  std::unique_ptr<HttpTransfer> transfer_;
  std::unique_ptr<OutputStream> stream_;
  std::function<void(const std::string&)> onAttached_;
  std::function<void()> onComplete_;
  bool terminal_ = false;
  int waitingFor_ = -1;
};

}  // namespace executor
