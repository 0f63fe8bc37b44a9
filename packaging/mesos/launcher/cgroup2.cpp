#include "cgroup2.hpp"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace {

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

Cgroup2::Cgroup2(const std::string& path) : folder(path.empty() ? "" : "/sys/fs/cgroup" + path + "/") {}

bool Cgroup2::exists() const
{
  return !folder.empty() && access((folder + "cpu.stat").c_str(), R_OK) == 0;
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
  return std::count(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>(), '\n');
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
