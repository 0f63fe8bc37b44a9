#include "output_stream.hpp"

#include <limits.h>
#include <poll.h>

#include <cerrno>

namespace executor {

OutputStream::OutputStream(SandboxFile& out, SandboxFile& err, bool framed)
    : out_(out), err_(err), framed_(framed), target_(&out) {}

size_t OutputStream::write(std::string_view bytes) {
  if (!framed_) return writePayload(bytes);
  size_t taken = 0;
  while (taken < bytes.size()) {
    if (payloadLeft_ == 0) {
      header_[headerLength_++] = static_cast<unsigned char>(bytes[taken++]);
      if (headerLength_ < sizeof header_) continue;
      headerLength_ = 0;
      target_ = header_[0] == 2 ? &err_ : &out_;
      payloadLeft_ = static_cast<uint32_t>(header_[4]) << 24 | static_cast<uint32_t>(header_[5]) << 16 |
                     static_cast<uint32_t>(header_[6]) << 8 | header_[7];
      continue;
    }
    const std::string_view payload = bytes.substr(taken, payloadLeft_);
    const size_t written = writePayload(payload);
    taken += written;
    payloadLeft_ -= static_cast<uint32_t>(written);
    if (written < payload.size()) break;
  }
  return taken;
}

// A file never blocks. But the descriptors may be pipes of a container logger that is slow or stuck, and they are
// shared with it, so they can't be made non-blocking: write only when poll says so, and not more than a pipe takes then.
size_t OutputStream::writePayload(std::string_view payload) {
  const bool mayBlock = !target_->rotatable();
  size_t taken = 0;
  blocked_ = -1;
  while (taken < payload.size()) {
    pollfd ready{target_->fd(), POLLOUT, 0};
    if (mayBlock && ::poll(&ready, 1, 0) == 0) {
      blocked_ = target_->fd();
      return taken;
    }
    const ssize_t count = target_->write(payload.substr(taken, mayBlock ? PIPE_BUF : std::string_view::npos));
    if (count < 0 && errno == EINTR) continue;
    // A full disk or a logger that is gone costs output, never the container.
    taken += count > 0 ? static_cast<size_t>(count) : payload.size() - taken;
  }
  return taken;
}

}  // namespace executor
