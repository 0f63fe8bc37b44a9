// Programs and helpers that run beside the executor, and end with it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "event_loop.hpp"

namespace executor {

// In a forked child: closes every descriptor but stderr and `fd`, puts /dev/null on stdin and stdout, and undoes the
// loop's signal mask. Returns the number that `fd` has afterwards.
int keepOnly(int fd);

// In a forked child: makes the kernel kill it when the executor dies, and ends it when that has happened already.
void dieWithParent(pid_t parent);

// In a forked child: becomes a program, found through PATH. `arguments`: with its name, as it sees them; `environment` is
// added to this process' own. One that can't be executed ends with status 127 and says so on stderr.
[[noreturn]] void execute(const std::string& program, const std::vector<std::string>& arguments,
                          const std::map<std::string, std::string>& environment);

struct ChildResult {
  int status = 0;       // as waitpid gives it
  std::string output;   // what it wrote to stdout
  std::string errors;   // what it wrote to stderr (programs only)
};

// A running child; destroying it kills it.
class Child {
 public:
  using Done = std::function<void(const ChildResult&)>;

  // Runs a program without a shell, in a session of its own; see execute(). It is done when it has ended, whoever has its
  // stdout then. Throws std::runtime_error when fork fails.
  static std::unique_ptr<Child> program(EventLoop& loop, const std::string& program,
                                        const std::vector<std::string>& arguments,
                                        const std::map<std::string, std::string>& environment, Done done);

  // Runs `work` in a fork of this process; it writes its result to the descriptor that it is given, and must not
  // return to the loop.
  static std::unique_ptr<Child> function(EventLoop& loop, const std::function<void(int fd)>& work, Done done);

  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() const;
  // -1 once it has ended.
  pid_t pid() const { return pid_; }

 private:
  Child(EventLoop& loop, Done done) : loop_(loop), done_(std::move(done)) {}
  void follow(pid_t pid, FileDescriptor output, FileDescriptor errors);
  void read(FileDescriptor& from, std::string& into);
  void drain(FileDescriptor& from, std::string& into);
  void finish();

  EventLoop& loop_;
  Done done_;
  pid_t pid_ = -1;
  FileDescriptor output_;
  FileDescriptor errors_;
  ChildResult result_;
};

}  // namespace executor
