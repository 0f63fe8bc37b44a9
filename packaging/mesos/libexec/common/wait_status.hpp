// The status of a process that has ended, as waitpid gives it.
#pragma once

#include <string>

namespace executor {

// For people: "exited with status 1", "terminated with signal Killed".
std::string describeWaitStatus(int status);

}  // namespace executor
