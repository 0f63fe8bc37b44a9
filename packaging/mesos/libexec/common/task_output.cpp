#include "task_output.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "pipe.hpp"

namespace executor {

TaskOutput::TaskOutput(EventLoop& loop, SandboxFile& file) : loop_(loop), file_(file) {
  if (!file.rotatable()) return;
  Pipe pipe;
  readEnd_ = std::move(pipe.readEnd);
  writeEnd_ = std::move(pipe.writeEnd);
  loop_.watch(readEnd_.get(), POLLIN, [this] { carry(); });
}

TaskOutput::~TaskOutput() {
  if (readEnd_) loop_.unwatch(readEnd_.get());
}

void TaskOutput::drain() {
  while (readEnd_ && carry()) {
  }
}

// Whether there was something.
bool TaskOutput::carry() {
  char bytes[16384];
  const ssize_t count = ::read(readEnd_.get(), bytes, sizeof bytes);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (count <= 0) {
    loop_.unwatch(readEnd_.get());
    readEnd_.close();
    return false;
  }
  // A file takes all, or the disk is full: what it does not take is lost, and the task goes on.
  for (std::string_view left(bytes, static_cast<size_t>(count)); !left.empty();) {
    const ssize_t written = file_.write(left);
    if (written <= 0) break;
    left.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace executor
