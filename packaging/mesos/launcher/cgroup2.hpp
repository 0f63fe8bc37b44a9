// Reading control groups of version 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

class Cgroup2 {
public:
  // `path` is the one that /proc/PID/cgroup shows; "" is no cgroup.
  explicit Cgroup2(const std::string& path);

  bool exists() const;

  // The number that a file consists of; none without the file, and for "max".
  std::optional<uint64_t> number(const std::string& file) const;

  // The number behind `key` in a file of lines "key number".
  std::optional<uint64_t> entry(const std::string& file, const std::string& key) const;

  // How many lines a file has.
  std::optional<uint64_t> lines(const std::string& file) const;

private:
  std::string folder;
};

// The path of the cgroup whose processes have `variable` ("NAME=VALUE") in their environment, the uppermost if there
// are several; "" if there is none.
std::string cgroupOfProcessWith(const std::string& variable);
