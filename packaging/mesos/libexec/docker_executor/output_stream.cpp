#include "output_stream.hpp"

#include <limits.h>
#include <poll.h>

#include <cerrno>

namespace executor {

OutputStream::OutputStream(SandboxFile& out, SandboxFile& err, bool framed)
    : frames_(framed, [this, &out, &err](StandardStream stream, std::string_view payload) {
        return writePayload(stream == StandardStream::Out ? out : err, payload);
      }) {}

// A file never blocks. But the descriptors may be pipes of a container logger that is slow or stuck, and they are
// shared with it, so they can't be made non-blocking: write only when poll says so, and not more than a pipe takes then.
size_t OutputStream::writePayload(SandboxFile& target, std::string_view payload) {
  const bool mayBlock = !target.rotatable();
  size_t taken = 0;
  blocked_ = -1;
  while (taken < payload.size()) {
    pollfd ready{target.fd(), POLLOUT, 0};
    if (mayBlock && ::poll(&ready, 1, 0) == 0) {
      blocked_ = target.fd();
      return taken;
    }
    const ssize_t count = target.write(payload.substr(taken, mayBlock ? PIPE_BUF : std::string_view::npos));
    if (count < 0 && errno == EINTR) continue;
    // A full disk or a logger that is gone costs output, never the container.
    taken += count > 0 ? static_cast<size_t>(count) : payload.size() - taken;
  }
  return taken;
}

}  // namespace executor
