#include "wait_status.hpp"

#include <sys/wait.h>

#include <cstring>

namespace executor {

std::string describeWaitStatus(int status) {
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  return std::string("terminated with signal ") + strsignal(WTERMSIG(status));
}

}  // namespace executor
