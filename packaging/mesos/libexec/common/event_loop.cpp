#include "event_loop.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace executor {
namespace {

sigset_t handledSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

EventLoop::EventLoop() : transfers_(curl_multi_init()) {
  const sigset_t set = handledSignals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signals_ = FileDescriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_ || transfers_ == nullptr) {
    throw std::runtime_error(std::string("the event loop can't be set up: ") + std::strerror(errno));
  }
  watch(signals_.get(), POLLIN, [this] { readSignals(); });
}

EventLoop::~EventLoop() { curl_multi_cleanup(transfers_); }

EventLoop::TimerId EventLoop::after(Duration delay, std::function<void()> action) {
  // Far dates would overflow the clock.
  const Duration bounded = std::min<Duration>(delay, std::chrono::hours(24 * 365));
  timers_.emplace(++lastTimer_, Timer{Clock::now() + bounded, std::move(action)});
  return lastTimer_;
}

void EventLoop::cancel(TimerId& id) {
  timers_.erase(id);
  id = 0;
}

void EventLoop::watch(int fd, short events, std::function<void()> action) {
  watches_[fd] = Watch{++lastWatch_, events, std::move(action)};
}

void EventLoop::unwatch(int fd) { watches_.erase(fd); }

void EventLoop::onChildEnd(pid_t child, std::function<void(int)> action) {
  children_[child] = std::move(action);
}

void EventLoop::run() {
  running_ = true;
  while (running_) {
    std::vector<curl_waitfd> waits;
    waits.reserve(watches_.size());
    for (const auto& [fd, entry] : watches_) {
      // libcurl's CURL_WAIT_* have the values of POLL* only by accident: map them.
      short events = 0;
      if (entry.events & POLLIN) events |= CURL_WAIT_POLLIN;
      if (entry.events & POLLOUT) events |= CURL_WAIT_POLLOUT;
      waits.push_back(curl_waitfd{fd, events, 0});
    }
    curl_multi_poll(transfers_, waits.data(), static_cast<unsigned>(waits.size()), millisecondsToNextTimer(),
                    nullptr);
    int active = 0;
    curl_multi_perform(transfers_, &active);
    if (onTransferProgress_) onTransferProgress_();

    // curl_multi_poll does not pass on POLLHUP or POLLERR, so ask again, without waiting.
    serveDescriptors();
    runDueTimers();
  }
}

void EventLoop::serveDescriptors() {
  std::vector<pollfd> polls;
  std::vector<uint64_t> ids;
  for (const auto& [fd, entry] : watches_) {
    polls.push_back(pollfd{fd, entry.events, 0});
    ids.push_back(entry.id);
  }
  if (::poll(polls.data(), polls.size(), 0) <= 0) return;
  for (size_t i = 0; i < polls.size(); ++i) {
    if (polls[i].revents == 0) continue;
    const auto found = watches_.find(polls[i].fd);
    if (found == watches_.end() || found->second.id != ids[i]) continue;  // an earlier action ended it
    const auto action = found->second.action;  // may unwatch itself
    action();
  }
}

void EventLoop::readSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    if (info.ssi_signo == SIGCHLD) {
      reapChildren();
    } else if (onTerminate_) {
      onTerminate_();
    }
  }
}

void EventLoop::reapChildren() {
  int status = 0;
  for (pid_t child = 0; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = children_.find(child);
    if (found == children_.end()) continue;
    const auto action = std::move(found->second);
    children_.erase(found);
    action(status);
  }
}

void EventLoop::runDueTimers() {
  const Clock::time_point now = Clock::now();
  std::vector<TimerId> due;
  for (const auto& [id, timer] : timers_) {
    if (timer.due <= now) due.push_back(id);
  }
  std::sort(due.begin(), due.end(),
            [this](TimerId a, TimerId b) { return timers_.at(a).due < timers_.at(b).due; });
  for (const TimerId id : due) {
    const auto found = timers_.find(id);  // an earlier one may have cancelled it
    if (found == timers_.end()) continue;
    const auto action = std::move(found->second.action);
    timers_.erase(found);
    action();
  }
}

int EventLoop::millisecondsToNextTimer() const {
  constexpr int kForever = 24 * 3600 * 1000;
  if (timers_.empty()) return kForever;
  const auto next = std::min_element(timers_.begin(), timers_.end(), [](const auto& a, const auto& b) {
    return a.second.due < b.second.due;
  });
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next->second.due - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(wait, 0, kForever));
}

void restoreSignals() {
  const sigset_t set = handledSignals();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

}  // namespace executor
