// Messages for operators, one line each: to stderr (the sandbox's file) and, with --log_dir, to a file there.
#pragma once

#include <string>

#include "sandbox_file.hpp"

namespace executor {

enum class LogLevel { Info, Warning, Error };

struct LogSettings {
  std::string name = "executor";  // what each line says of its origin
  LogLevel level = LogLevel::Info;
  bool quiet = false;    // nothing to stderr
  std::string directory;  // also into <directory>/<program>.log when not empty
};

void configureLog(const LogSettings& settings);

// What is meant for stderr goes through `file` from now on, which must outlive all messages.
void logThrough(SandboxFile& file);

void logInfo(const std::string& message);
void logWarning(const std::string& message);
void logError(const std::string& message);

}  // namespace executor
