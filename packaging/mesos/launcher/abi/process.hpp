// libprocess: the actors, HTTP server and sockets that the master and the agent stand on.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "abi/stout.hpp"

namespace process {

class UPID {
  char members[256];  // more than its size; made and destroyed by libmesos only

public:
  UPID(const UPID&);
  bool operator<(const UPID&) const;
};

struct Event;
struct MessageEvent;
struct DispatchEvent;
struct HttpEvent;
struct ExitedEvent;
struct TerminateEvent;

// An actor. The order of its virtual functions is that of Mesos', so that actors can also be written here.
class ProcessBase {
public:
  explicit ProcessBase(const std::string& id);
  virtual ~ProcessBase();

protected:
  virtual void consume(MessageEvent&& event);
  virtual void consume(DispatchEvent&& event);
  virtual void consume(HttpEvent&& event);
  virtual void consume(ExitedEvent&& event);
  virtual void consume(TerminateEvent&& event);
  virtual void serve(Event&& event);
  virtual void initialize();
  virtual void finalize();
  virtual void exited(const UPID& pid);
  virtual void lost(const UPID& pid);

private:
  char members[2048];  // a class without any would get another place in those that derive from it
};

bool initialize(
    const Option<std::string>& delegate,
    const Option<std::string>& readwriteRealm,
    const Option<std::string>& readonlyRealm);

UPID spawn(ProcessBase* process, bool manage);
bool wait(const UPID& pid, const Duration& duration);

namespace network::openssl {

Try<std::string> generate_hmac_sha256(const std::string& message, const std::string& key);

}

namespace ID {
std::string generate(const std::string& prefix);
}

struct Failure {
  explicit Failure(const std::string& message) : message(message) {}
  const std::string message;
};

template <typename T>
class Future {
public:
  Future(const T& value);
  Future(const Failure& failure);

  // A future that is answered by `set` or `fail`; in Mesos that takes a promise.
  static Future pending()
  {
    Future future;
    future.data->abandoned = false;
    return future;
  }

  bool set(const T& value);
  bool fail(const std::string& message);

  bool await(const Duration& duration) const;
  bool isFailed() const { return data->state == FAILED; }
  const std::string& failure() const { return data->result.error(); }

private:
  enum State : int { PENDING, READY, FAILED, DISCARDED };

  Future();  // one that nobody will ever answer

  // How Mesos' structure begins.
  struct Data {
    std::atomic_flag lock;
    State state;
    bool discard;
    bool associated;
    bool abandoned;
    Result<T> result;
  };
  std::shared_ptr<Data> data;
};

namespace http {
class Connection;
}

// A pointer with one owner (by convention; it can be copied).
template <typename T>
class Owned {
public:
  Owned() = default;
  explicit Owned(T* t) : data(std::make_shared<Data>(t)) {}
  T* get() const { return data ? data->t.load() : nullptr; }

private:
  struct Data {
    explicit Data(T* t) : t(t) {}
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

class SocketImpl {
public:
  enum class Kind { POLL, SSL };
  static Try<std::shared_ptr<SocketImpl>> create(int descriptor, Kind kind);
};

template <typename Address>
class Socket {
public:
  explicit Socket(const std::shared_ptr<SocketImpl>& impl) : impl(impl) {}

private:
  std::shared_ptr<SocketImpl> impl;
};

}

namespace inet {
class Address;
using Socket = internal::Socket<Address>;
}

namespace unix {
using Socket = internal::Socket<Address>;
}

}

}
