#include "log.hpp"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace executor {
namespace {

LogSettings current;
int logFile = -1;
SandboxFile* stderrFile = nullptr;

ssize_t writeToStderr(const std::string& line) {
  return stderrFile != nullptr ? stderrFile->writeLine(line) : ::write(STDERR_FILENO, line.data(), line.size());
}

void write(LogLevel level, char letter, const std::string& message) {
  if (level < current.level) return;
  timeval now{};
  gettimeofday(&now, nullptr);
  tm local{};
  localtime_r(&now.tv_sec, &local);
  char prefix[64];
  const size_t length = std::strftime(prefix + 1, sizeof prefix - 1, "%m%d %H:%M:%S", &local);
  prefix[0] = letter;
  std::snprintf(prefix + 1 + length, sizeof prefix - 1 - length, ".%06ld %d %s] ", static_cast<long>(now.tv_usec),
                getpid(), current.name.c_str());
  // One write a line: the container's own output goes to the same file.
  const std::string line = prefix + message + "\n";
  if (!current.quiet && writeToStderr(line) < 0) {
    // Nowhere left to say so; the file may still take it.
  }
  if (logFile >= 0 && ::write(logFile, line.data(), line.size()) < 0) {
    logFile = -1;
  }
}

}  // namespace

void configureLog(const LogSettings& settings) {
  current = settings;
  if (!settings.directory.empty()) {
    const std::string path = settings.directory + "/" + program_invocation_short_name + ".log";
    logFile = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (logFile < 0) logWarning("--log_dir: can't write " + path + ": " + std::strerror(errno));
  }
}

SandboxFiles& logThroughSandbox(const std::string& sandbox) {
  static SandboxFiles files{{STDOUT_FILENO, sandbox + "/stdout"}, {STDERR_FILENO, sandbox + "/stderr"}};
  files.out.onProblem(logWarning);
  files.err.onProblem(logWarning);
  stderrFile = &files.err;
  return files;
}

void logInfo(const std::string& message) { write(LogLevel::Info, 'I', message); }
void logWarning(const std::string& message) { write(LogLevel::Warning, 'W', message); }
void logError(const std::string& message) { write(LogLevel::Error, 'E', message); }

}  // namespace executor
