// libprocess: the actors, HTTP server and sockets that the master and the agent stand on.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "abi/stout.hpp"

namespace process {

class UPID {
  char members[256];  // more than its size; made and destroyed by libmesos only

public:
  UPID(const UPID&);
  bool operator<(const UPID&) const;
};

class ProcessBase {
public:
  virtual ~ProcessBase();

private:
  char members[2048];  // a class without any would get another place in those that derive from it
};

bool initialize(
    const Option<std::string>& delegate,
    const Option<std::string>& readwriteRealm,
    const Option<std::string>& readonlyRealm);

UPID spawn(ProcessBase* process, bool manage);
bool wait(const UPID& pid, const Duration& duration);

namespace ID {
std::string generate(const std::string& prefix);
}

template <typename T>
class Future {
  std::shared_ptr<void> data;
};

// A pointer with one owner (by convention; it can be copied).
template <typename T>
class Owned {
public:
  T* get() const { return data ? data->t.load() : nullptr; }

private:
  struct Data {
    std::atomic<T*> t;
  };
  std::shared_ptr<Data> data;
};

class RateLimiter {
  char members[1024];

public:
  RateLimiter(int permits, const Duration& duration);
  ~RateLimiter();
};

namespace network {

namespace unix {
class Address;
}

namespace internal {

class SocketImpl;

template <typename Address>
class Socket {
  std::shared_ptr<SocketImpl> impl;
};

}

namespace unix {
using Socket = internal::Socket<Address>;
}

}

}
