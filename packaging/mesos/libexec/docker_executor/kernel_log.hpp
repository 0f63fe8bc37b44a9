// What the kernel's log says of a container that is gone already.
#pragma once

#include <string>

namespace executor {

// Whether the log names the control group of `container` (the engine's id) as one that ran out of memory. The log
// keeps this when nothing else does, but it may be unreadable, overwritten, or cut short when many groups run out at
// once: false proves nothing.
bool kernelLogTellsOutOfMemory(const std::string& container);

}  // namespace executor
