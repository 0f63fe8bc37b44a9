// Keeps a host's disk from being filled by what is fetched.
#pragma once

#include <cstdint>
#include <string>

namespace executor {

class DiskRoom {
 public:
  // Of the file system with this folder.
  explicit DiskRoom(std::string folder) : folder_(std::move(folder)) {}

  // Must be told of all that is about to be written. Throws std::runtime_error when less than a twentieth of the file
  // system would be left, or more is written in all than there was room for at first: files can replace each other.
  void take(uint64_t bytes);

 private:
  const std::string folder_;
  uint64_t unchecked_ = 0;
  uint64_t taken_ = 0;
  uint64_t roomAtFirst_ = 0;
};

}  // namespace executor
