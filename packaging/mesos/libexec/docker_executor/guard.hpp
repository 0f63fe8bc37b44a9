// A second, tiny process that removes the container when the executor is killed before it could (kill -9, out of
// memory): nobody else would, as Mesos' agent only reports the task as failed.
//
// It is forked before the executor has grown (its memory stays shared), lives in a session of its own and as a child
// of init, so that neither Mesos' kill of the executor's process tree nor one of the process group reaches it, and
// waits for the end of a socket pair. It talks to the engine with a dozen lines of its own instead of libcurl.
#pragma once

#include <functional>
#include <string>

#include "event_loop.hpp"
#include "sandbox_file.hpp"

namespace executor {

class Guard {
 public:
  // Forks the first guard, which logs to `log`. `argumentArea`/`argumentLength`: the memory of argv, where the guard writes its own name
  // for the process list, or null. Throws std::runtime_error.
  Guard(std::string engineSocket, std::string containerName, SandboxFile& log, char* argumentArea,
        size_t argumentLength);
  ~Guard();

  // From now on a guard that dies is replaced.
  void attach(EventLoop& loop);

  // What there is to guard.
  void containerMayComeToBe();  // a creation is asked for; the engine may still be at work when the executor dies
  void containerExists();
  // The executor ends in order and the container is gone: the guard ends, too, without doing anything.
  void release();

 private:
  enum class Duty : char { Nothing = 'n', Creating = 'c', Existing = 'e', Released = 'r' };

  void spawn();
  void replace();
  void tell(Duty duty);
  [[noreturn]] void stand(int lifeline);
  void removeContainer(Duty duty) const;

  const std::string engineSocket_;
  const std::string containerName_;
  SandboxFile& log_;
  char* const argumentArea_;
  const size_t argumentLength_;
  EventLoop* loop_ = nullptr;
  FileDescriptor lifeline_;
  Duty duty_ = Duty::Nothing;
};

}  // namespace executor
