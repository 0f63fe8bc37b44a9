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

struct Process {
  pid_t parent;
  pid_t session;
};

// None for zombies and for processes that are gone.
std::optional<Process> look(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/stat";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  char line[512];
  if (!file || std::fgets(line, sizeof line, file.get()) == nullptr) return std::nullopt;
  // The name, in parentheses, may have parentheses and spaces of its own.
  const char* const end = std::strrchr(line, ')');
  char state = 0;
  Process found{};
  long threads = 0;
  if (end == nullptr ||
      std::sscanf(end + 1, " %c %d %*d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld", &state,
                  &found.parent, &found.session, &threads) != 4) {
    return std::nullopt;
  }
  // One whose first thread has ended looks like a zombie while the others run on.
  if (state == 'Z' && threads <= 1) return std::nullopt;
  return found;
}

std::multimap<pid_t, pid_t> childrenByParent() {
  std::multimap<pid_t, pid_t> children;
  const std::unique_ptr<DIR, int (*)(DIR*)> processes(opendir("/proc"), closedir);
  if (!processes) return children;
  while (const dirent* const entry = readdir(processes.get())) {
    const pid_t process = std::atoi(entry->d_name);
    if (process <= 0) continue;
    if (const auto found = look(process)) children.emplace(found->parent, process);
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

namespace {

template <typename Meant>
void killUntilGone(pid_t root, const Meant& meant) {
  for (int round = 0; round < kRounds; ++round) {
    bool any = false;
    for (const pid_t process : descendantsOf(root)) {
      if (!meant(process)) continue;
      kill(process, SIGKILL);
      any = true;
    }
    if (!any) return;
    usleep(kPauseMicroseconds);
  }
}

}  // namespace

void killDescendants(pid_t root) {
  killUntilGone(root, [](pid_t) { return true; });
}

void killSession(pid_t root, pid_t session) {
  killUntilGone(root, [session](pid_t process) {
    const auto found = look(process);
    return found && found->session == session;
  });
}

}  // namespace executor
