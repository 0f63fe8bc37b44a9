#include "oom_counter.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace executor {
namespace {

// The line "N:controllers:path" of /proc/<pid>/cgroup for `controllers`: "memory" for v1, "" for v2.
std::string groupOf(pid_t process, const std::string& controllers) {
  std::ifstream file("/proc/" + std::to_string(process) + "/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    std::string name;
    bool found = controllers.empty() && second == first + 1;
    while (std::getline(names, name, ',')) found = found || name == controllers;
    if (found) return line.substr(second + 1);
  }
  return "";
}

FileDescriptor openGroupFile(const std::string& hierarchy, const std::string& group, const char* file) {
  if (group.empty()) return {};
  return FileDescriptor(open((hierarchy + group + "/" + file).c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

OomCounter OomCounter::of(pid_t process) {
  OomCounter counter;
  counter.file_ = openGroupFile("/sys/fs/cgroup/memory", groupOf(process, "memory"), "memory.oom_control");
  if (!counter.file_) counter.file_ = openGroupFile("/sys/fs/cgroup", groupOf(process, ""), "memory.events");
  return counter;
}

bool OomCounter::hasKilled() const {
  char text[512];
  const ssize_t length = file_ ? pread(file_.get(), text, sizeof text - 1, 0) : -1;
  if (length <= 0) return false;
  std::istringstream lines(std::string(text, static_cast<size_t>(length)));
  std::string name;
  long count = 0;
  while (lines >> name >> count) {
    if (name == "oom_kill") return count > 0;
  }
  return false;
}

}  // namespace executor
