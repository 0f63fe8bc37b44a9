#include "output_limits.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>

#include "json.hpp"

namespace executor {

const char kContainerLoggerPrefix[] = "CONTAINER_LOGGER_";

namespace {

const char kStdoutSize[] = "CONTAINER_LOGGER_MAX_STDOUT_SIZE";
const char kStderrSize[] = "CONTAINER_LOGGER_MAX_STDERR_SIZE";
const char kFiles[] = "CONTAINER_LOGGER_MAX_FILES";

// Mesos' own lower bound, a page.
constexpr uint64_t kSmallest = 4096;
constexpr uint64_t kMostFiles = 1000;

[[noreturn]] void refuse(const std::string& name, const std::string& value, const std::string& allowed) {
  throw InvalidField("the environment variable " + name + " is '" + value + "': must be " + allowed);
}

// The number that `text` begins with, and how long that is; none when it is too large or there is none.
std::optional<std::pair<uint64_t, size_t>> leadingNumber(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  return std::make_pair(number, static_cast<size_t>(end - text.data()));
}

// Bytes as Mesos writes them: a whole number and one of B, KB, MB, GB, TB.
std::optional<uint64_t> parseBytes(const std::string& text) {
  const auto number = leadingNumber(text);
  if (!number) return std::nullopt;
  std::string unit = text.substr(number->second);
  std::transform(unit.begin(), unit.end(), unit.begin(), [](unsigned char letter) { return std::toupper(letter); });
  if (unit.empty() && number->first == 0) return 0;
  unsigned shift = 0;
  for (const char* known : {"B", "KB", "MB", "GB", "TB"}) {
    if (unit == known) {
      if (number->first > (std::numeric_limits<uint64_t>::max() >> 1) >> shift) return std::nullopt;
      return number->first << shift;
    }
    shift += 10;
  }
  return std::nullopt;
}

uint64_t size(const std::string& name, const std::string& value) {
  const auto bytes = parseBytes(value);
  if (!bytes || (*bytes > 0 && *bytes < kSmallest)) {
    refuse(name, value, "a size from 4KB on, such as 10MB, or 0 for no limit");
  }
  return *bytes;
}

unsigned files(const std::string& name, const std::string& value) {
  const auto number = leadingNumber(value);
  if (!number || number->second != value.size() || number->first < 1 || number->first > kMostFiles) {
    refuse(name, value, "a number from 1 to " + std::to_string(kMostFiles));
  }
  return static_cast<unsigned>(number->first);
}

}  // namespace

OutputLimits outputLimits(const std::map<std::string, std::string>& variables) {
  OutputLimits limits;
  for (const auto& [name, value] : variables) {
    if (name == kStdoutSize) {
      limits.maxStdoutSize = size(name, value);
    } else if (name == kStderrSize) {
      limits.maxStderrSize = size(name, value);
    } else if (name == kFiles) {
      limits.maxFiles = files(name, value);
    } else {
      throw InvalidField("the environment variable " + name + " has no effect here: there are " + kStdoutSize + ", " +
                         kStderrSize + " and " + kFiles);
    }
  }
  return limits;
}

}  // namespace executor
