#include "file_changes.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "diagnostics.hpp"

namespace {

std::mutex mutex;
std::map<std::string, int> watches;                    // by path
std::map<int, std::function<void()>> changes;          // by watch

void readChanges(int notifier)
{
  alignas(inotify_event) char buffer[4096];
  for (;;) {
    const ssize_t length = read(notifier, buffer, sizeof buffer);
    for (ssize_t position = 0; position < length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + position);
      position += static_cast<ssize_t>(sizeof *event + event->len);
      std::function<void()> changed;
      {
        const std::lock_guard lock(mutex);
        const auto found = changes.find(event->wd);
        if (found != changes.end()) changed = found->second;
      }
      if (changed) changed();
    }
  }
}

int notifier()
{
  static const int descriptor = [] {
    const int made = inotify_init1(IN_CLOEXEC);
    if (made < 0) fail(std::string("Failed to watch control groups: ") + std::strerror(errno));
    std::thread(readChanges, made).detach();
    return made;
  }();
  return descriptor;
}

}

void watchFile(const std::string& path, const std::function<void()>& changed)
{
  {
    const std::lock_guard lock(mutex);
    const int watch = inotify_add_watch(notifier(), path.c_str(), IN_MODIFY);
    if (watch < 0) {
      logWarning("Can't watch " + path + ": " + std::strerror(errno));
    } else {
      watches[path] = watch;
      changes[watch] = changed;
    }
  }
  changed(); // what has happened before
}

void forgetFile(const std::string& path)
{
  const std::lock_guard lock(mutex);
  const auto found = watches.find(path);
  if (found == watches.end()) return;
  inotify_rm_watch(notifier(), found->second);
  changes.erase(found->second);
  watches.erase(found);
}
