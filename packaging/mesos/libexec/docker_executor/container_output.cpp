#include "container_output.hpp"

#include <poll.h>

#include <utility>

namespace executor {

ContainerOutput::~ContainerOutput() { stopWaiting(); }

void ContainerOutput::attach(const std::string& container,
                             std::function<void(const std::string& error)> onAttached) {
  stopWaiting();
  stream_.reset();
  onAttached_ = std::move(onAttached);
  HttpHandlers handlers;
  handlers.onHeaders = [this](const HttpResponse& response) {
    if (response.ok() && onAttached_) std::exchange(onAttached_, nullptr)("");
  };
  handlers.onData = [this](std::string_view bytes) { return receive(bytes); };
  handlers.onDone = [this](const HttpResponse& response) {
    transfer_.reset();
    if (onAttached_) std::exchange(onAttached_, nullptr)(response.describe());
    if (onComplete_) std::exchange(onComplete_, nullptr)();
  };
  transfer_ = engine_.attach(container, std::move(handlers));
}

size_t ContainerOutput::receive(std::string_view bytes) {
  if (onAttached_) return bytes.size();  // the text of an error, not output
  if (!stream_) stream_ = std::make_unique<OutputStream>(files_.out, files_.err, !terminal_);
  const size_t taken = stream_->write(bytes);
  if (taken < bytes.size() && waitingFor_ < 0) {
    waitingFor_ = stream_->blockedFd();
    loop_.watch(waitingFor_, POLLOUT, [this] {
      stopWaiting();
      if (transfer_) transfer_->resume();
    });
  }
  return taken;
}

void ContainerOutput::stopWaiting() {
  if (waitingFor_ >= 0) loop_.unwatch(waitingFor_);
  waitingFor_ = -1;
}

}  // namespace executor
