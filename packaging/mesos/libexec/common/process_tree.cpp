#include "process_tree.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace executor {
namespace {

constexpr int kRounds = 50;
constexpr useconds_t kPauseMicroseconds = 2000;

// The parent of a running process; none for zombies and for processes that are gone.
std::optional<pid_t> parentOf(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/stat";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  char line[512];
  if (!file || std::fgets(line, sizeof line, file.get()) == nullptr) return std::nullopt;
  // The name, in parentheses, may have parentheses and spaces of its own.
  const char* const end = std::strrchr(line, ')');
  char state = 0;
  int parent = 0;
  if (end == nullptr || std::sscanf(end + 1, " %c %d", &state, &parent) != 2 || state == 'Z') return std::nullopt;
  return parent;
}

std::multimap<pid_t, pid_t> childrenByParent() {
  std::multimap<pid_t, pid_t> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> processes(opendir("/proc"), closedir);
  if (!processes) return children;
  while (const dirent* const entry = readdir(processes.get())) {
    const pid_t process = std::atoi(entry->d_name);
    if (process <= 0) continue;
    if (const auto parent = parentOf(process)) children.emplace(*parent, process);
  }
  return children;
}

}  // namespace

void adoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::vector<pid_t> descendantsOf(pid_t root) {
  const auto children = childrenByParent();
  std::vector<pid_t> found{root};
  for (size_t at = 0; at < found.size(); ++at) {
    const auto [begin, end] = children.equal_range(found[at]);
    for (auto child = begin; child != end; ++child) found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

void signalDescendants(pid_t root, int signal) {
  for (const pid_t process : descendantsOf(root)) kill(process, signal);
}

void killDescendants(pid_t root) {
  for (int round = 0; round < kRounds; ++round) {
    const auto left = descendantsOf(root);
    if (left.empty()) return;
    for (const pid_t process : left) kill(process, SIGKILL);
    usleep(kPauseMicroseconds);
  }
}

}  // namespace executor
