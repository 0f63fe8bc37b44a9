// The sandbox's stdout and stderr: files that are rotated when they are full, so that a container that logs for
// months does not fill the disk.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace executor {

// Writes to a descriptor that is open already, and keeps its number: what is full becomes <path>.1, what was that
// becomes <path>.2 and so on, and <path> begins anew. A reader always finds a <path>.
//
// The agent may have put a container logger's pipe there instead of the file. That is never rotated.
class SandboxFile {
 public:
  // `fd` stays the caller's; `path`: where the file is.
  SandboxFile(int fd, std::string path);

  // Whether it is the file at `path`, and not a pipe.
  bool rotatable() const { return rotatable_; }

  // Bytes of a file (0: no limit) and how many of them there may be. Before this is called there is no limit.
  void limit(uint64_t maxSize, unsigned maxFiles);

  // For each time that the descriptor has become another file, and that this went wrong.
  void onRotated(std::function<void()> action) { onRotated_ = std::move(action); }
  void onProblem(std::function<void(const std::string&)> action) { onProblem_ = std::move(action); }

  // Like write(2), and may write less than all for the same reasons: -1 and errno, or how many bytes. Lines stay
  // whole, unless they are longer than a quarter of the limit or 16 KiB.
  ssize_t write(std::string_view bytes);

  // Who hears all that write() has written.
  void listen(const void* who, std::function<void(std::string_view)> action) { listeners_[who] = std::move(action); }
  void unlisten(const void* who) { listeners_.erase(who); }

  // One line, with its end, in one piece.
  ssize_t writeLine(std::string_view line);

  // In another process that has the same file open: goes on in what is at `path` now.
  void reopen();

  int fd() const { return fd_; }

 private:
  std::string_view fitting(std::string_view bytes);
  ssize_t writeNow(std::string_view bytes);
  void measure();
  void rotate();
  void moveOn();

  const int fd_;
  const std::string path_;
  bool rotatable_ = false;
  uint64_t maxSize_ = 0;
  unsigned maxFiles_ = 1;
  uint64_t size_ = 0;
  bool lineOpen_ = false;  // what comes next goes on with a line that has begun
  std::map<const void*, std::function<void(std::string_view)>> listeners_;
  std::function<void()> onRotated_;
  std::function<void(const std::string&)> onProblem_;
};

struct SandboxFiles {
  SandboxFile out;
  SandboxFile err;
};

}  // namespace executor
