#include "memory_limit.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace executor {
namespace {

// Of address space: the libraries take 60 MiB, and the largest dictionary that xz makes by itself 65 MiB.
constexpr rlim_t kMostBytes = rlim_t{512} << 20;

void setSoftLimit(rlim_t bytes) {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0) return;
  limit.rlim_cur = std::min(bytes, limit.rlim_max);
  setrlimit(RLIMIT_AS, &limit);
}

}  // namespace

void limitMemory() { setSoftLimit(kMostBytes); }

MemoryLimitLifted::MemoryLimitLifted() { setSoftLimit(RLIM_INFINITY); }

MemoryLimitLifted::~MemoryLimitLifted() { setSoftLimit(kMostBytes); }

}  // namespace executor
