#include "cgroup2.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void failAt(const std::string& what)
{
  throw std::system_error(errno, std::generic_category(), what);
}

std::string contents(const std::filesystem::path& path)
{
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool hasVariable(const std::string& environment, const std::string& variable)
{
  const std::string bounded = '\0' + variable + '\0';
  return ('\0' + environment + '\0').find(bounded) != std::string::npos;
}

// The path in a /proc/PID/cgroup, where version 2 has the hierarchy number 0 and a line "0::PATH".
std::string version2Path(const std::filesystem::path& membership)
{
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);)
    if (line.compare(0, 3, "0::") == 0) return line.substr(3);
  return "";
}

}

Cgroup2::Cgroup2(const std::string& path)
    : folder(path.empty() ? "" : "/sys/fs/cgroup" + (path == "/" ? "" : path) + "/")
{}

bool Cgroup2::exists() const
{
  return !folder.empty() && access((folder + "cpu.stat").c_str(), R_OK) == 0;
}

Cgroup2 Cgroup2::child(const std::string& name) const
{
  Cgroup2 below("");
  below.folder = folder + name + "/";
  return below;
}

std::vector<std::string> Cgroup2::children() const
{
  std::error_code none;
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none))
    if (entry.is_directory(none)) names.push_back(entry.path().filename());
  return names;
}

std::optional<uint64_t> Cgroup2::number(const std::string& file) const
{
  std::ifstream stream(folder + file);
  uint64_t value;
  return stream >> value ? std::optional(value) : std::nullopt;
}

std::optional<uint64_t> Cgroup2::entry(const std::string& file, const std::string& key) const
{
  std::ifstream stream(folder + file);
  std::string name;
  for (uint64_t value; stream >> name >> value;)
    if (name == key) return value;
  return std::nullopt;
}

std::optional<uint64_t> Cgroup2::lines(const std::string& file) const
{
  std::ifstream stream(folder + file);
  if (!stream) return std::nullopt;
  uint64_t count = std::count(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>(), '\n');
  for (const std::string& name : children()) count += child(name).lines(file).value_or(0);
  return count;
}

std::set<std::string> Cgroup2::controllers() const
{
  std::ifstream stream(folder + "cgroup.controllers");
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

void Cgroup2::write(const std::string& file, const std::string& value) const
{
  const std::string path = folder + file;
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) failAt(path);
  const ssize_t written = ::write(descriptor, value.data(), value.size());
  const int error = errno;
  close(descriptor);
  errno = error;
  if (written < 0) failAt("'" + value + "' to " + path);
}

void Cgroup2::create() const
{
  if (mkdir(folder.c_str(), 0755) != 0) failAt(folder);
}

void Cgroup2::enableForChildren(const std::set<std::string>& controllers) const
{
  for (const std::string& controller : controllers) write("cgroup.subtree_control", "+" + controller);
}

bool Cgroup2::killAll(std::chrono::milliseconds patience) const
{
  write("cgroup.kill", "1");
  const auto deadline = Clock::now() + patience;
  const int events = open((folder + "cgroup.events").c_str(), O_RDONLY | O_CLOEXEC);
  if (events < 0) failAt(folder + "cgroup.events");
  bool emptied = false;
  for (;;) {
    char drained[256]; // what was read is not told again
    const bool read = pread(events, drained, sizeof drained, 0) > 0;
    emptied = !read || entry("cgroup.events", "populated") == 0;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (emptied || left.count() <= 0) break;
    pollfd change = {events, POLLPRI, 0};
    poll(&change, 1, static_cast<int>(left.count()));
  }
  close(events);
  return emptied;
}

void Cgroup2::remove() const
{
  for (const std::string& name : children()) child(name).remove();
  if (rmdir(folder.c_str()) != 0 && errno != ENOENT) failAt(folder);
}

std::string cgroupOfProcessWith(const std::string& variable)
{
  std::string found;
  for (const auto& process : std::filesystem::directory_iterator("/proc")) {
    if (!std::isdigit(process.path().filename().native().front())) continue;
    if (!hasVariable(contents(process.path() / "environ"), variable)) continue;
    const std::string path = version2Path(process.path() / "cgroup");
    if (!path.empty() && (found.empty() || path.size() < found.size())) found = path;
  }
  return found;
}
