// How a launcher speaks to its operator: one line on stderr and a failure status, or a line in Mesos' log.
#pragma once

#include <string>

// Ends the program with status 1 after writing `message` to stderr. Never runs destructors: libmesos has threads.
[[noreturn]] void fail(const std::string& message);

void logInfo(const std::string& message, const char* file = __builtin_FILE(), int line = __builtin_LINE());
void logWarning(const std::string& message, const char* file = __builtin_FILE(), int line = __builtin_LINE());
