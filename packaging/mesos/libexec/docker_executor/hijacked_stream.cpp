#include "hijacked_stream.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace executor {
namespace {

constexpr size_t kBuffer = 16384;
constexpr size_t kLongestAnswer = 65536;

}  // namespace

HijackedStream::HijackedStream(EventLoop& loop, FileDescriptor connection, Handlers handlers)
    : loop_(loop), connection_(std::move(connection)), handlers_(std::move(handlers)) {
  watch();
}

HijackedStream::~HijackedStream() {
  if (connection_) loop_.unwatch(connection_.get());
}

size_t HijackedStream::write(std::string_view bytes) {
  if (!open_) return 0;
  const ssize_t count = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  // A process that reads no more is no error: it may still write.
  if (count < 0 && errno != EAGAIN) {
    waitsForRoom_ = false;
    watch();
    return bytes.size();
  }
  const size_t taken = count < 0 ? 0 : static_cast<size_t>(count);
  waitsForRoom_ = taken < bytes.size();
  watch();
  return taken;
}

void HijackedStream::endInput() {
  inputEnds_ = true;
  if (open_) shutdown(connection_.get(), SHUT_WR);
}

void HijackedStream::resume() {
  if (open_ && !pending_.empty()) handOn();
}

void HijackedStream::watch() {
  short events = pending_.empty() || !open_ ? POLLIN : 0;
  if (waitsForRoom_) events |= POLLOUT;
  loop_.unwatch(connection_.get());
  if (events != 0) loop_.watch(connection_.get(), events, [this] { ready(); });
}

void HijackedStream::ready() {
  if (waitsForRoom_) {
    waitsForRoom_ = false;
    handlers_.onRoom();
  }
  if (pending_.empty() || !open_) read();
}

void HijackedStream::read() {
  char bytes[kBuffer];
  const ssize_t count = ::recv(connection_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    watch();
  } else if (count <= 0) {
    end(open_ ? "" : "the Docker Engine has closed the connection");
  } else {
    pending_.append(bytes, static_cast<size_t>(count));
    if (open_) {
      handOn();
    } else {
      answered();
    }
  }
}

// The engine's answer is complete with its headers, unless it is an error: then a text follows.
void HijackedStream::answered() {
  const size_t headersEnd = pending_.find("\r\n\r\n");
  if (headersEnd == std::string::npos && pending_.size() < kLongestAnswer) return watch();
  const int status = headersEnd == std::string::npos ? 0 : std::atoi(pending_.c_str() + pending_.find(' '));
  if (status != 101 && status != 200) return refused(status, headersEnd);
  pending_.erase(0, headersEnd + 4);
  open_ = true;
  if (inputEnds_) shutdown(connection_.get(), SHUT_WR);
  handlers_.onOpen();
  handOn();
}

void HijackedStream::refused(int status, size_t headersEnd) {
  if (status == 0) return end("the Docker Engine's answer is not understood");
  static const char length[] = "Content-Length: ";
  const size_t told = pending_.find(length);
  const size_t size = told < headersEnd ? std::strtoul(pending_.c_str() + told + sizeof length - 1, nullptr, 10) : 0;
  if (pending_.size() < headersEnd + 4 + std::min(size, kLongestAnswer)) return watch();
  end("HTTP status " + std::to_string(status) + ": " + pending_.substr(headersEnd + 4));
}

void HijackedStream::handOn() {
  pending_.erase(0, handlers_.onData(pending_));
  watch();
}

void HijackedStream::end(const std::string& error) {
  loop_.unwatch(connection_.get());
  connection_.close();
  open_ = false;
  const auto onEnd = handlers_.onEnd;
  onEnd(error);  // may destroy this
}

}  // namespace executor
