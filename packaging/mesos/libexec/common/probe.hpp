// A single HTTP or TCP attempt, made by a forked helper process inside the network namespace of a task.
#pragma once

#include <sys/types.h>

#include <string>

#include "check_results.hpp"

namespace executor {

// Enters the network namespace of `process`, unless it is 0, tries what `spec` says and writes the outcome to `fd`.
void probe(const CheckSpec& spec, pid_t process, int fd);

// The outcome that probe() wrote.
CheckResult readProbe(const std::string& written);

}  // namespace executor
