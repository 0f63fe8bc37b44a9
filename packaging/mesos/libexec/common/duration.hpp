// Lengths of time as Mesos writes them: "15mins", "250ms", "0ns" in flags and variables,
// {"nanoseconds": N} (DurationInfo) in messages.
#pragma once

#include <chrono>
#include <string>

#include "json.hpp"

namespace executor {

using Duration = std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

// Parses a number and one of ns, us, ms, secs, mins, hrs, days, weeks. Throws std::invalid_argument.
Duration parseDuration(const std::string& text);

// DurationInfo's nanoseconds; zero when `info` has none. Negative ones are refused with InvalidField.
Duration durationOf(const Json& info, const std::string& where);

// A floating-point number of seconds (HealthCheck, CheckInfo), saturating instead of overflowing.
Duration secondsOf(double seconds);

// For people: "1.5 s".
std::string describe(Duration duration);

}  // namespace executor
