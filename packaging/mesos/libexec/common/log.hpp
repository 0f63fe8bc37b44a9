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

// This process' stdout and stderr as the files of the sandbox. What is logged to stderr goes through them from now on;
// they are never destroyed, because the last message may come late.
SandboxFiles& logThroughSandbox(const std::string& sandbox);

void logInfo(const std::string& message);
void logWarning(const std::string& message);
void logError(const std::string& message);

}  // namespace executor
