// The Docker Engine API, as far as the life of one container needs it. Source: docs.docker.com/reference/api/engine.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "file_descriptor.hpp"
#include "http.hpp"
#include "json.hpp"

namespace executor {

class Engine {
 public:
  using Done = std::function<void(const HttpResponse&)>;

  // `socketPath`: the engine's unix socket.
  Engine(HttpClient& http, std::string socketPath);

  // Asks for the engine's versions and settles on one that both sides speak; until it has, and when the engine does
  // not answer, the oldest supported one is used.
  void negotiate();

  void start(const std::string& container, Done done);
  void inspect(const std::string& container, Done done);
  // Sends the container's stop signal, and SIGKILL after `seconds`.
  void stop(const std::string& container, int64_t seconds, Done done);
  void kill(const std::string& container, Done done);
  // Removes the container and its anonymous volumes, running or not.
  void remove(const std::string& container, Done done);
  // Takes back a restart policy: the container's first end is its last.
  void neverRestart(const std::string& container, Done done);
  void resize(const std::string& container, int64_t rows, int64_t columns, Done done);

  // Streams what the container writes. onHeaders says that nothing written from now on is missed.
  std::unique_ptr<HttpTransfer> attach(const std::string& container, HttpHandlers handlers);
  // Answers when the container ends, with {"StatusCode": N}. `condition`: "next-exit" for one that does not run yet
  // (onHeaders says that its end can't be missed any more), "not-running" for one that may have ended already.
  std::unique_ptr<HttpTransfer> wait(const std::string& container, const std::string& condition,
                                     HttpHandlers handlers);

  // Programs inside the running container. `command` is ExecConfig without its Attach fields.
  void createExec(const std::string& container, Json command, Done done);
  std::unique_ptr<HttpTransfer> startExec(const std::string& exec, HttpHandlers handlers);
  // The same with input. The connection carries the engine's answer, and after that answer's headers the program's streams.
  // It never waits. Throws std::runtime_error.
  FileDescriptor openExec(const std::string& exec, bool terminal);
  // The same for what the container's first process reads.
  // `leaveKeys`: what a terminal is left by, as in docker's --detach-keys.
  FileDescriptor attachInput(const std::string& container, const std::string& leaveKeys);
  void inspectExec(const std::string& exec, Done done);
  void resizeExec(const std::string& exec, int64_t rows, int64_t columns, Done done);

 private:
  FileDescriptor hijack(const std::string& path, const std::string& body) const;
  HttpRequest request(const char* method, const std::string& path, std::chrono::milliseconds timeout) const;
  // A POST of this JSON text.
  HttpRequest requestWith(std::string json, const std::string& path, std::chrono::milliseconds timeout) const;

  HttpClient& http_;
  const std::string socketPath_;
  std::string version_;
};

}  // namespace executor
