// Control groups of version 2.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

// What changes a cgroup throws std::system_error with the file's path when the kernel refuses.
class Cgroup2 {
public:
  // `path` is the one that /proc/PID/cgroup shows; "" is no cgroup.
  explicit Cgroup2(const std::string& path);

  bool exists() const;
  Cgroup2 child(const std::string& name) const;
  std::vector<std::string> children() const;
  std::string file(const std::string& name) const { return folder + name; }

  // The number that a file consists of; none without the file, and for "max".
  std::optional<uint64_t> number(const std::string& file) const;

  // The number behind `key` in a file of lines "key number".
  std::optional<uint64_t> entry(const std::string& file, const std::string& key) const;

  // How many lines a file has, here and in all that is below.
  std::optional<uint64_t> lines(const std::string& file) const;

  // Those that this cgroup may hand on to its children.
  std::set<std::string> controllers() const;

  void write(const std::string& file, const std::string& value) const;
  void create() const;
  void enableForChildren(const std::set<std::string>& controllers) const;

  // Kills all that runs here and below; says whether it has ended in time.
  bool killAll(std::chrono::milliseconds patience) const;

  // With all that is below; nothing may run there.
  void remove() const;

private:
  std::string folder;
};

// The path of the cgroup whose processes have `variable` ("NAME=VALUE") in their environment, the uppermost if there
// are several; "" if there is none.
std::string cgroupOfProcessWith(const std::string& variable);
