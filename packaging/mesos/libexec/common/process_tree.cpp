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

// Those names in a folder of /proc that are numbers.
std::vector<pid_t> numbersIn(const std::string& folder) {
  std::vector<pid_t> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(folder.c_str()), closedir);
  if (!entries) return numbers;
  while (const dirent* const entry = readdir(entries.get())) {
    const pid_t number = std::atoi(entry->d_name);
    if (number > 0) numbers.push_back(number);
  }
  return numbers;
}

// CONFIG_PROC_CHILDREN, which Debian's kernels have.
bool kernelListsChildren() { return access("/proc/thread-self/children", R_OK) == 0; }

// May miss one whose siblings are waited for meanwhile.
std::vector<pid_t> listedChildren(pid_t parent) {
  std::vector<pid_t> children;
  const std::string threads = "/proc/" + std::to_string(parent) + "/task";
  for (const pid_t thread : numbersIn(threads)) {
    const std::string path = threads + "/" + std::to_string(thread) + "/children";
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
    for (pid_t child = 0; file && std::fscanf(file.get(), "%d", &child) == 1;) {
      if (look(child)) children.push_back(child);
    }
  }
  return children;
}

std::map<pid_t, std::vector<pid_t>> childrenByParent() {
  std::map<pid_t, std::vector<pid_t>> children;
  for (const pid_t process : numbersIn("/proc")) {
    if (const auto found = look(process)) children[found->parent].push_back(process);
  }
  return children;
}

template <typename ChildrenOf>
std::vector<pid_t> descend(pid_t root, ChildrenOf childrenOf) {
  std::vector<pid_t> found{root};
  for (size_t at = 0; at < found.size(); ++at) {
    const std::vector<pid_t> children = childrenOf(found[at]);
    found.insert(found.end(), children.begin(), children.end());
  }
  found.erase(found.begin());
  return found;
}

}  // namespace

void adoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

std::vector<pid_t> descendantsOf(pid_t root) {
  return kernelListsChildren() ? descend(root, listedChildren) : descendantsAmongAll(root);
}

std::vector<pid_t> descendantsAmongAll(pid_t root) {
  auto children = childrenByParent();
  return descend(root, [&children](pid_t parent) { return children[parent]; });
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
