#include "kernel_log.hpp"

#include <sys/klog.h>

#include <string_view>
#include <vector>

namespace executor {
namespace {

constexpr int kReadAll = 3;  // SYSLOG_ACTION_READ_ALL of syslog(2)
// The end of the log: a container that has just ended is in it.
constexpr size_t kRecentBytes = size_t{256} << 10;

}  // namespace

bool kernelLogTellsOutOfMemory(const std::string& container) {
  std::vector<char> bytes(kRecentBytes);
  const int length = klogctl(kReadAll, bytes.data(), static_cast<int>(bytes.size()));
  if (length <= 0) return false;
  const std::string_view log(bytes.data(), static_cast<size_t>(length));
  // One line: "oom-kill:constraint=...,oom_memcg=/docker/<id>,task_memcg=/docker/<id>,task=...".
  static constexpr std::string_view event = "oom-kill:";
  for (size_t at = log.find(event); at != std::string_view::npos; at = log.find(event, at + 1)) {
    const std::string_view line = log.substr(at, log.find('\n', at) - at);
    const size_t group = line.find("task_memcg=");
    if (group != std::string_view::npos && line.find(container, group) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace executor
