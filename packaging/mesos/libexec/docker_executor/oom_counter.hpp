// Whether the kernel has killed processes of a container for want of memory.
//
// Docker says so in State.OOMKilled, but misses it when the container ends right then. The kernel's own counter can be
// read until the engine has removed the control group, which takes it longer than it takes us to see the process end.
#pragma once

#include <sys/types.h>

#include "file_descriptor.hpp"

namespace executor {

class OomCounter {
 public:
  // Counts for the memory control group (v1 or v2) of `process`; for none when it can't be found.
  static OomCounter of(pid_t process);

  bool hasKilled() const;

 private:
  FileDescriptor file_;  // memory.oom_control (v1) or memory.events (v2)
};

}  // namespace executor
