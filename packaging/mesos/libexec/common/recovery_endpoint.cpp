#include "recovery_endpoint.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "log.hpp"

namespace executor {
namespace {

// The agent opens one connection at a time; more than a few are somebody else's.
constexpr size_t kMostConnections = 16;

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno) +
                           " (a restarted agent could not recover this executor)");
}

// A reader must never see half a pid, and a crash must not leave an empty file: write aside, sync, rename.
void writeAtomically(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";
  FileDescriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fdatasync(file.get()) != 0 || rename(temporary.c_str(), path.c_str()) != 0) {
    fail("can't write " + path);
  }
}

}  // namespace

std::string pidsFolderOf(const std::string& sandbox) {
  // Ids may contain anything but a slash, so count from the end: slaves/S/frameworks/F/executors/E/runs/C.
  static const std::vector<std::string> names{"runs", "executors", "frameworks", "slaves"};
  std::filesystem::path path = std::filesystem::path(sandbox).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::filesystem::path inside;
  for (const std::string& name : names) {
    if (!path.has_parent_path() || path.parent_path().filename() != name) return "";
    inside = std::filesystem::path(name) / path.filename() / inside;
    path = path.parent_path().parent_path();
  }
  return (path / "meta" / inside / "pids").string();
}

RecoveryEndpoint::RecoveryEndpoint(EventLoop& loop, const std::string& sandbox, std::function<void()> onContact)
    : loop_(loop), onContact_(std::move(onContact)) {
  const std::string folder = pidsFolderOf(sandbox);
  if (folder.empty()) {
    throw std::runtime_error("MESOS_DIRECTORY is '" + sandbox +
                             "': must be <work_dir>/slaves/S/frameworks/F/executors/E/runs/C");
  }
  listener_ = FileDescriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener_ || bind(listener_.get(), generic, length) != 0 || listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), generic, &length) != 0) {
    fail("can't listen on 127.0.0.1");
  }
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  writeAtomically(folder + "/libprocess.pid", "executor(1)@127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  loop_.watch(listener_.get(), POLLIN, [this] { accept(); });
}

RecoveryEndpoint::~RecoveryEndpoint() {
  for (const auto& [fd, connection] : connections_) loop_.unwatch(fd);
  if (listener_) loop_.unwatch(listener_.get());
}

void RecoveryEndpoint::accept() {
  FileDescriptor connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) return;
  onContact_();
  if (connections_.size() >= kMostConnections) return;
  const int fd = connection.get();
  connections_[fd] = std::move(connection);
  loop_.watch(fd, POLLIN, [this, fd] { drain(fd); });
}

// Nothing that arrives here needs an answer, so the first bytes end the connection just as its end does.
void RecoveryEndpoint::drain(int fd) {
  char bytes[4096];
  if (recv(fd, bytes, sizeof bytes, 0) < 0 && (errno == EAGAIN || errno == EINTR)) return;
  loop_.unwatch(fd);
  connections_.erase(fd);
}

}  // namespace executor
