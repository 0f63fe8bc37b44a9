// A bound on what this process may take of memory: archives can ask for any.
#pragma once

namespace executor {

// From now on, allocations beyond it fail.
void limitMemory();

// While it lives, programs that are started have no such limit.
class MemoryLimitLifted {
 public:
  MemoryLimitLifted();
  ~MemoryLimitLifted();
  MemoryLimitLifted(const MemoryLimitLifted&) = delete;
  MemoryLimitLifted& operator=(const MemoryLimitLifted&) = delete;
};

}  // namespace executor
