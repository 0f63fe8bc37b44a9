// How large the sandbox's stdout and stderr may become: pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace executor {

struct OutputLimits {
  // Bytes of one file; 0: no limit.
  uint64_t maxStdoutSize = uint64_t{10} << 20;
  uint64_t maxStderrSize = uint64_t{10} << 20;
  // Of each, with the one that is written: 3 are stdout, stdout.1 and stdout.2.
  unsigned maxFiles = 3;
};

// What all variables of the settings' names begin with.
extern const char kContainerLoggerPrefix[];

// From the environment variables of that prefix. Their names and sizes are those of Mesos' LogrotateContainerLogger
// (its docs/logging.md), the number of files is our own. Throws InvalidField.
OutputLimits outputLimits(const std::map<std::string, std::string>& variables);

}  // namespace executor
