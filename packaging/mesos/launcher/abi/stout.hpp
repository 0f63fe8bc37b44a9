// Mesos' vocabulary types, in the memory layout that libmesos 1.11.0 was built with.
//
// Only what crosses the border to libmesos is here. Their declarations must agree with the binary's, because the
// compiler derives the names of the functions that it looks for there from them.
#pragma once

#include <cstdint>
#include <new>
#include <string>
#include <utility>

struct Error {
  std::string message;
};

struct Nothing {};

template <typename T>
class Option {
public:
  Option() : state(NONE) {}
  Option(const T& value) : state(SOME), t(value) {}
  Option(const Option& that) : state(that.state)
  {
    if (isSome()) new (&t) T(that.t);
  }
  ~Option()
  {
    if (isSome()) t.~T();
  }
  Option& operator=(const Option& that)
  {
    if (this == &that) return *this;
    if (isSome()) t.~T();
    state = that.state;
    if (isSome()) new (&t) T(that.t);
    return *this;
  }

  T& emplace()
  {
    if (isSome()) t.~T();
    state = SOME;
    return *new (&t) T();
  }

  bool isSome() const { return state == SOME; }
  bool isNone() const { return state == NONE; }
  const T& get() const { return t; }
  T& get() { return t; }

private:
  enum State : int { SOME, NONE } state;
  union {
    T t;
  };
};

template <typename T, typename E = Error>
class Try {
public:
  Try(const T& value) : data(value) {}
  bool isSome() const { return data.isSome(); }
  bool isError() const { return data.isNone(); }
  const T& get() const { return data.get(); }
  T& get() { return data.get(); }
  const std::string& error() const { return error_.get().message; }

protected:
  Option<T> data;
  Option<E> error_;
};

// A value, nothing, or an error.
template <typename T>
class Result {
public:
  bool isSome() const { return data.isSome() && data.get().isSome(); }
  bool isError() const { return data.isError(); }
  const T& get() const { return data.get().get(); }
  const std::string& error() const { return data.error(); }

private:
  Try<Option<T>> data;
};

class Duration {
public:
  explicit constexpr Duration(int64_t nanoseconds) : nanos(nanoseconds) {}
  static Try<Duration> parse(const std::string& text);
  int64_t nanoseconds() const { return nanos; }

private:
  int64_t nanos;
};

struct Path {
  std::string value;
  char separator;
};

namespace os {
template <typename... T>
Try<std::string> shell(const std::string& command, const T&...);
Try<Nothing> mkdir(const std::string& directory, bool recursive, bool sync);
}
