#include "guard.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "children.hpp"
#include "log.hpp"

namespace executor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Long enough for an engine that is busy with the dead executor's "create" to finish it.
constexpr Duration kCreationAfterlife = seconds(60);
// An engine that stays away this long has been stopped for good, and its containers with it.
constexpr Duration kEngineTimeout = std::chrono::hours(1);

// What the guard is told besides its duty: the log is another file now.
constexpr char kLogRotated = 'l';

// The status of DELETE /containers/<name>?force=1&v=1, or 0 when the engine does not answer. HTTP/1.0 and no API
// version: every engine answers that, and closes the connection at the end.
int deleteContainer(const std::string& socketPath, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socketPath.size() >= sizeof address.sun_path) return 0;
  std::memcpy(address.sun_path, socketPath.data(), socketPath.size());
  const FileDescriptor connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string request = "DELETE /containers/" + name + "?force=1&v=1 HTTP/1.0\r\nHost: docker\r\n\r\n";
  if (!connection || connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return 0;
  }
  char answer[16] = "";  // "HTTP/1.x NNN"
  size_t length = 0;
  while (length < 12) {
    const ssize_t count = recv(connection.get(), answer + length, 12 - length, 0);
    if (count <= 0) return 0;
    length += static_cast<size_t>(count);
  }
  return std::atoi(answer + 9);
}

void sleepFor(Duration duration) { ::poll(nullptr, 0, static_cast<int>(duration / milliseconds(1))); }

}  // namespace

Guard::Guard(std::string engineSocket, std::string containerName, SandboxFile& log, char* argumentArea,
             size_t argumentLength)
    : engineSocket_(std::move(engineSocket)),
      containerName_(std::move(containerName)),
      log_(log),
      argumentArea_(argumentArea),
      argumentLength_(argumentLength) {
  spawn();
  // A guard that held the old file open would keep it on the disk, and write its last words there.
  // It is not waited for: a guard that is stopped must not stop the executor.
  log_.onRotated([this] {
    if (lifeline_) send(lifeline_.get(), &kLogRotated, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  });
}

Guard::~Guard() { log_.onRotated(nullptr); }

void Guard::spawn() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw std::runtime_error(std::string("the guard's socket pair: ") + std::strerror(errno));
  }
  FileDescriptor mine(ends[0]);
  FileDescriptor its(ends[1]);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error(std::string("the guard's fork: ") + std::strerror(errno));
  if (child == 0) {
    // A grandchild is nobody's child: it is not in the tree that Mesos kills, and leaves no zombie here.
    setsid();
    if (fork() != 0) _exit(0);
    stand(its.release());
  }
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  lifeline_ = std::move(mine);
  tell(duty_);
}

void Guard::attach(EventLoop& loop) {
  loop_ = &loop;
  loop.watch(lifeline_.get(), POLLIN, [this] {
    char byte;
    if (recv(lifeline_.get(), &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR)) return;
    loop_->unwatch(lifeline_.get());
    lifeline_.close();
    if (duty_ != Duty::Released) replace();
  });
}

void Guard::replace() {
  try {
    spawn();
    attach(*loop_);
    logWarning("The container's guard had died: there is another one now");
  } catch (const std::runtime_error& error) {
    // No reason to end the task: try again when the machine has room for another process.
    logError(std::string("The container has no guard at the moment: ") + error.what());
    loop_->after(seconds(1), [this] { replace(); });
  }
}

void Guard::containerMayComeToBe() { tell(Duty::Creating); }

void Guard::containerExists() { tell(Duty::Existing); }

void Guard::release() { tell(Duty::Released); }

void Guard::tell(Duty duty) {
  duty_ = duty;
  const char byte = static_cast<char>(duty);
  // A failure means that the guard is dead. The loop notices, and a new one is told what duty_ says.
  if (lifeline_) send(lifeline_.get(), &byte, 1, MSG_NOSIGNAL);
}

void Guard::stand(int lifeline) {
  // Everything but stderr and the lifeline belongs to the executor alone; above all its listening socket, which must
  // refuse connections once the executor is dead.
  lifeline = keepOnly(lifeline);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2}) signal(number, SIG_IGN);
  if (chdir("/") != 0) _exit(1);
  prctl(PR_SET_NAME, "mesos-guard");
  if (argumentArea_ != nullptr) {
    // So that a kill by the executor's name does not end its guard as well.
    std::memset(argumentArea_, 0, argumentLength_);
    const std::string title = "container-guard " + containerName_;
    std::memcpy(argumentArea_, title.data(), std::min(title.size(), argumentLength_ - 1));
  }
  Duty duty = Duty::Nothing;
  while (true) {
    char byte;
    const ssize_t count = recv(lifeline, &byte, 1, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    if (byte == kLogRotated) {
      log_.reopen();
      continue;
    }
    duty = static_cast<Duty>(byte);
    if (duty == Duty::Released) _exit(0);
  }
  if (duty != Duty::Nothing) removeContainer(duty);
  _exit(0);
}

void Guard::removeContainer(Duty duty) const {
  const Clock::time_point start = Clock::now();
  Clock::time_point lastAnswer = start;
  Duration pause = milliseconds(50);
  logWarning("The executor has died: removing container " + containerName_);
  while (true) {
    const int status = deleteContainer(engineSocket_, containerName_);
    if (status == 204) break;
    if (status != 0) lastAnswer = Clock::now();
    if (Clock::now() - lastAnswer > kEngineTimeout) return;
    const bool mayStillComeToBe = duty == Duty::Creating && Clock::now() - start < kCreationAfterlife;
    if (status == 404 && !mayStillComeToBe) return;
    // Not reachable (an engine that restarts), removal in progress, or not there yet.
    sleepFor(pause);
    pause = std::min<Duration>(pause * 2, seconds(status == 0 ? 10 : 1));
  }
  logWarning("Container " + containerName_ + " is removed");
}

}  // namespace executor
