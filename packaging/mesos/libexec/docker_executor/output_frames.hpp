// Takes apart the stream of what a container's process writes.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "exec_commands.hpp"

namespace executor {

// Docker's framing without a terminal: 8 bytes (stream number, three zeros, length as a big-endian 32-bit number), then the
// payload. With a terminal there is no framing and all is stdout.
class OutputFrames {
 public:
  // Takes a part of a payload; returns how many bytes it took.
  using Sink = std::function<size_t(StandardStream, std::string_view)>;

  OutputFrames(bool framed, Sink sink) : framed_(framed), sink_(std::move(sink)) {}

  // Returns how many bytes of `bytes` it took: all, unless the sink did not.
  size_t write(std::string_view bytes);

 private:
  const bool framed_;
  const Sink sink_;
  unsigned char header_[8] = {};
  size_t headerLength_ = 0;
  uint32_t payloadLeft_ = 0;
};

}  // namespace executor
