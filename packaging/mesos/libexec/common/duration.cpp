#include "duration.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace executor {
namespace {

constexpr double kLongest = 9.0e18;  // nanoseconds that still fit, 285 years

Duration saturated(double nanoseconds) {
  return Duration(static_cast<int64_t>(std::fmin(nanoseconds, kLongest)));
}

}  // namespace

Duration parseDuration(const std::string& text) {
  static constexpr std::array<std::pair<const char*, double>, 8> units{{{"ns", 1},
                                                                         {"us", 1e3},
                                                                         {"ms", 1e6},
                                                                         {"secs", 1e9},
                                                                         {"mins", 60e9},
                                                                         {"hrs", 3600e9},
                                                                         {"days", 86400e9},
                                                                         {"weeks", 604800e9}}};
  const size_t end = text.find_first_not_of("0123456789.");
  if (end != 0 && end != std::string::npos) {
    const std::string number = text.substr(0, end);
    char* rest = nullptr;
    const double value = std::strtod(number.c_str(), &rest);
    for (const auto& [unit, factor] : units) {
      if (*rest == '\0' && text.compare(end, std::string::npos, unit) == 0) return saturated(value * factor);
    }
  }
  throw std::invalid_argument("'" + text +
                              "' is not a duration: a number and one of ns, us, ms, secs, mins, hrs, days, weeks");
}

Duration durationOf(const Json& info, const std::string& where) {
  const int64_t nanoseconds = integerOr(info, "nanoseconds", 0, where);
  if (nanoseconds < 0) {
    throw InvalidField(where + ".nanoseconds is " + std::to_string(nanoseconds) + ": must not be negative");
  }
  return Duration(nanoseconds);
}

Duration secondsOf(double seconds) { return saturated(seconds * 1e9); }

std::string describe(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", std::chrono::duration<double>(duration).count());
  return text;
}

}  // namespace executor
