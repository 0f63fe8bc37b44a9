#include "children.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "pipe.hpp"

namespace executor {
namespace {

constexpr size_t kLongestOutput = size_t{1} << 20;

pid_t forkOrThrow() {
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
  return child;
}

void closeFrom(int first) {
  if (close_range(static_cast<unsigned>(first), ~0U, 0) == 0) return;
  rlimit limit{};  // kernels before 5.9
  getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = first; fd < static_cast<int>(limit.rlim_cur); ++fd) close(fd);
}

}  // namespace

int keepOnly(int fd) {
  restoreSignals();
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  constexpr int kept = STDERR_FILENO + 1;
  dup2(fd, kept);
  closeFrom(kept + 1);
  return kept;
}

void dieWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
}

void execute(const std::string& program, const std::vector<std::string>& arguments,
             const std::map<std::string, std::string>& environment) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  execvp(program.c_str(), argv.data());
  dprintf(STDERR_FILENO, "can't run %s: %s\n", program.c_str(), std::strerror(errno));
  _exit(127);
}

std::unique_ptr<Child> Child::program(EventLoop& loop, const std::string& program,
                                      const std::vector<std::string>& arguments,
                                      const std::map<std::string, std::string>& environment, Done done) {
  Pipe output;
  Pipe errors;
  const pid_t parent = getpid();
  const pid_t child = forkOrThrow();
  if (child == 0) {
    dieWithParent(parent);
    setsid();
    restoreSignals();
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(output.writeEnd.get(), STDOUT_FILENO);
    dup2(errors.writeEnd.get(), STDERR_FILENO);
    execute(program, arguments, environment);
  }
  std::unique_ptr<Child> self(new Child(loop, std::move(done)));
  self->follow(child, std::move(output.readEnd), std::move(errors.readEnd));
  return self;
}

std::unique_ptr<Child> Child::function(EventLoop& loop, const std::function<void(int fd)>& work, Done done) {
  Pipe output;
  const pid_t parent = getpid();
  const pid_t child = forkOrThrow();
  if (child == 0) {
    dieWithParent(parent);
    work(keepOnly(output.writeEnd.get()));
    _exit(0);
  }
  std::unique_ptr<Child> self(new Child(loop, std::move(done)));
  self->follow(child, std::move(output.readEnd), FileDescriptor());
  return self;
}

Child::~Child() {
  if (output_) loop_.unwatch(output_.get());
  if (errors_) loop_.unwatch(errors_.get());
  if (pid_ > 0) {
    kill();
    loop_.onChildEnd(pid_, [](int) {});
  }
}

void Child::kill() const {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

void Child::follow(pid_t pid, FileDescriptor output, FileDescriptor errors) {
  pid_ = pid;
  output_ = std::move(output);
  errors_ = std::move(errors);
  loop_.watch(output_.get(), POLLIN, [this] { read(output_, result_.output); });
  if (errors_) loop_.watch(errors_.get(), POLLIN, [this] { read(errors_, result_.errors); });
  loop_.onChildEnd(pid, [this](int status) {
    pid_ = -1;
    result_.status = status;
    drain(output_, result_.output);
    drain(errors_, result_.errors);
    finish();
  });
}

void Child::read(FileDescriptor& from, std::string& into) {
  char bytes[4096];
  const ssize_t count = ::read(from.get(), bytes, sizeof bytes);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    loop_.unwatch(from.get());
    from.close();
  } else if (into.size() < kLongestOutput) {
    into.append(bytes, static_cast<size_t>(count));
  }
}

// All that is in the pipe, without waiting for whom it has left that to.
void Child::drain(FileDescriptor& from, std::string& into) {
  while (from) {
    const size_t before = into.size();
    read(from, into);
    if (from && into.size() == before) break;
  }
  if (!from) return;
  loop_.unwatch(from.get());
  from.close();
}

void Child::finish() {
  if (!done_) return;
  const auto done = std::move(done_);
  done_ = nullptr;
  const ChildResult result = std::move(result_);
  done(result);  // may destroy this
}

}  // namespace executor
