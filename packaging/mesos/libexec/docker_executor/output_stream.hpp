// Takes apart the stream of a container's output and writes it to the sandbox's stdout and stderr.
#pragma once

#include <cstdint>
#include <string_view>

#include "sandbox_file.hpp"

namespace executor {

// Docker's framing of an attached container without a terminal: 8 bytes (stream number, three zeros, length as a
// big-endian 32-bit number), then the payload. With a terminal there is no framing and all is stdout.
class OutputStream {
 public:
  // `out` and `err` stay the caller's, and may be the same. `framed`: see above.
  OutputStream(SandboxFile& out, SandboxFile& err, bool framed);

  // Writes what can be written without blocking and returns how many bytes of `bytes` that took. When it is less
  // than all, blockedFd() says which descriptor must become writable first.
  size_t write(std::string_view bytes);
  int blockedFd() const { return blocked_; }

 private:
  size_t writePayload(std::string_view payload);

  SandboxFile& out_;
  SandboxFile& err_;
  const bool framed_;
  SandboxFile* target_;
  int blocked_ = -1;
  unsigned char header_[8] = {};
  size_t headerLength_ = 0;
  uint32_t payloadLeft_ = 0;
};

}  // namespace executor
