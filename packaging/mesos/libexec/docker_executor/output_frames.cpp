#include "output_frames.hpp"

namespace executor {

size_t OutputFrames::write(std::string_view bytes) {
  if (!framed_) return sink_(StandardStream::Out, bytes);
  size_t taken = 0;
  while (taken < bytes.size()) {
    if (payloadLeft_ == 0) {
      header_[headerLength_++] = static_cast<unsigned char>(bytes[taken++]);
      if (headerLength_ < sizeof header_) continue;
      headerLength_ = 0;
      payloadLeft_ = static_cast<uint32_t>(header_[4]) << 24 | static_cast<uint32_t>(header_[5]) << 16 |
                     static_cast<uint32_t>(header_[6]) << 8 | header_[7];
      continue;
    }
    const std::string_view payload = bytes.substr(taken, payloadLeft_);
    const size_t written = sink_(header_[0] == 2 ? StandardStream::Err : StandardStream::Out, payload);
    taken += written;
    payloadLeft_ -= static_cast<uint32_t>(written);
    if (written < payload.size()) break;
  }
  return taken;
}

}  // namespace executor
