// What a task's `check` and `health_check` ask for, validated. Source: Mesos' docs/health-checks.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "duration.hpp"
#include "json.hpp"

namespace executor {

enum class CheckKind { Command, Http, Tcp };

// How to look at the task, and how often; the same for both kinds of checks.
struct CheckSpec {
  CheckKind kind = CheckKind::Command;
  std::string program;                   // of the COMMAND check
  std::vector<std::string> arguments;    // as CommandInfo has them; of the shell: -c and the command
  bool shell = true;
  std::vector<std::string> environment;  // NAME=VALUE
  std::string url;                       // of the HTTP check
  uint16_t port = 0;                     // of the TCP check
  bool ipv6 = false;                     // of the TCP check
  Duration delay{};
  Duration interval{};
  Duration timeout{};  // zero: none
};

struct HealthSpec {
  CheckSpec check;
  uint32_t consecutiveFailures = 3;  // zero: never kill, as in Marathon
  Duration gracePeriod{};
};

// "COMMAND", "HTTP" or "TCP".
const char* nameOf(CheckKind kind);

// The task's `check` and `health_check`, if it has them. Throw InvalidField for what Mesos' validation refuses.
std::optional<CheckSpec> checkOf(const Json& task);
std::optional<HealthSpec> healthCheckOf(const Json& task);

}  // namespace executor
