// A connection of which the Docker Engine has made the streams of a process, after a request of Engine's.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "event_loop.hpp"
#include "file_descriptor.hpp"

namespace executor {

class HijackedStream {
 public:
  struct Handlers {
    // The engine has agreed; what is written from now on arrives.
    std::function<void()> onOpen;
    // What comes; returns how many bytes it took. The rest is offered again after resume().
    std::function<size_t(std::string_view)> onData;
    // It can be written to again.
    std::function<void()> onRoom;
    // It is over, with "", or with what the engine said instead of agreeing. May destroy the stream.
    std::function<void(const std::string& error)> onEnd;
  };

  // `connection`: with the request sent.
  HijackedStream(EventLoop& loop, FileDescriptor connection, Handlers handlers);
  ~HijackedStream();
  HijackedStream(const HijackedStream&) = delete;
  HijackedStream& operator=(const HijackedStream&) = delete;

  bool open() const { return open_; }
  // Returns how many bytes it took. When that is less than all, and it is open, onRoom() follows.
  size_t write(std::string_view bytes);
  // No more will be written.
  void endInput();
  // Offers onData what it left before.
  void resume();

 private:
  void watch();
  void ready();
  void read();
  void answered();
  void refused(int status, size_t headersEnd);
  void handOn();
  void end(const std::string& error);

  EventLoop& loop_;
  FileDescriptor connection_;
  const Handlers handlers_;
  std::string pending_;  // what was read and not handed on yet
  bool open_ = false;
  bool inputEnds_ = false;
  bool waitsForRoom_ = false;
};

}  // namespace executor
