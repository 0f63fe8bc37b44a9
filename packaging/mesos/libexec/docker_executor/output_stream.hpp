// Writes the stream of a container's output to the sandbox's stdout and stderr.
#pragma once

#include <string_view>

#include "output_frames.hpp"
#include "sandbox_file.hpp"

namespace executor {

class OutputStream {
 public:
  // `out` and `err` stay the caller's, and may be the same. `framed`: see OutputFrames.
  OutputStream(SandboxFile& out, SandboxFile& err, bool framed);
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  // Writes what can be written without blocking and returns how many bytes of `bytes` that took. When it is less
  // than all, blockedFd() says which descriptor must become writable first.
  size_t write(std::string_view bytes) { return frames_.write(bytes); }
  int blockedFd() const { return blocked_; }

 private:
  size_t writePayload(SandboxFile& target, std::string_view payload);

  OutputFrames frames_;
  int blocked_ = -1;
};

}  // namespace executor
