#include "disk_room.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <stdexcept>

namespace executor {
namespace {

constexpr uint64_t kLookAfter = uint64_t{4} << 20;
constexpr uint64_t kShareLeft = 20;  // a twentieth

}  // namespace

void DiskRoom::take(uint64_t bytes) {
  unchecked_ += bytes;
  taken_ += bytes;
  if (roomAtFirst_ > 0 && unchecked_ < kLookAfter) return;
  struct statvfs system {};
  if (statvfs(folder_.c_str(), &system) != 0) return;  // a disk that can't tell is not protected
  const uint64_t left = uint64_t{system.f_bavail} * system.f_frsize;
  const uint64_t kept = uint64_t{system.f_blocks} * system.f_frsize / kShareLeft;
  if (roomAtFirst_ == 0) roomAtFirst_ = left - std::min(left, kept);
  if (taken_ > roomAtFirst_ || left < kept + unchecked_ || (system.f_files > 0 && system.f_favail < system.f_files / kShareLeft)) {
    throw std::runtime_error("less than 5 % of the disk with " + folder_ + " would be left");
  }
  unchecked_ = 0;
}

}  // namespace executor
