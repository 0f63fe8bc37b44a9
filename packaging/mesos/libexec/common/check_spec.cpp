#include "check_spec.hpp"

namespace executor {
namespace {

Duration secondsField(const Json& object, const char* key, double fallback, const std::string& where) {
  const double seconds = numberOr(object, key, fallback, where);
  if (!(seconds >= 0)) {
    throw InvalidField(where + "." + key + " is " + std::to_string(seconds) + ": must not be negative");
  }
  return secondsOf(seconds);
}

CheckKind kindOf(const Json& check, const std::string& where) {
  const std::string type = textOr(check, "type", "", where);
  if (type == "COMMAND") return CheckKind::Command;
  if (type == "HTTP") return CheckKind::Http;
  if (type == "TCP") return CheckKind::Tcp;
  throw InvalidField(where + ".type is '" + type + "': must be COMMAND, HTTP or TCP");
}

uint16_t portOf(const Json& object, const std::string& where) {
  const int64_t port = integerOr(object, "port", 0, where);
  if (port < 1 || port > 65535) {
    throw InvalidField(where + ".port is " + std::to_string(port) + ": must be 1 to 65535");
  }
  return static_cast<uint16_t>(port);
}

bool isIpv6(const Json& object, const std::string& where) {
  return textOr(object, "protocol", "IPv4", where) == "IPv6";
}

void readCommand(const Json& command, const std::string& where, CheckSpec& spec) {
  if (!has(command, "value")) throw InvalidField(where + ".value is missing: a COMMAND check needs it");
  const std::string value = textOr(command, "value", "", where);
  spec.shell = boolOr(command, "shell", true, where);
  if (spec.shell) {
    spec.program = "/bin/sh";
    spec.arguments = {"-c", value};
  } else {
    spec.program = value;
    for (const Json& argument : arrayOf(command, "arguments", where)) {
      if (!argument.is_string()) throw InvalidField(where + ".arguments must be texts");
      spec.arguments.push_back(argument.get<std::string>());
    }
  }
  for (const Json& variable : arrayOf(member(command, "environment", where), "variables", where)) {
    const std::string name = textOr(variable, "name", "", where);
    if (textOr(variable, "type", "VALUE", where) == "SECRET") {
      throw InvalidField(where + ".environment variable '" + name + "' is a secret: must be of type VALUE");
    }
    spec.environment.push_back(name + "=" + textOr(variable, "value", "", where));
  }
}

void readHttp(const Json& http, const std::string& where, CheckSpec& spec) {
  const std::string scheme = textOr(http, "scheme", "http", where);
  if (scheme != "http" && scheme != "https") {
    throw InvalidField(where + ".scheme is '" + scheme + "': must be http or https");
  }
  const std::string path = textOr(http, "path", "", where);
  if (!path.empty() && path.front() != '/') throw InvalidField(where + ".path '" + path + "' must begin with a slash");
  const char* host = isIpv6(http, where) ? "[::1]" : "127.0.0.1";
  spec.url = scheme + "://" + host + ":" + std::to_string(portOf(http, where)) + path;
}

// The fields that CheckInfo and HealthCheck have in common; they differ in where the command is.
CheckSpec commonSpec(const Json& check, const Json& command, const std::string& where) {
  CheckSpec spec;
  spec.kind = kindOf(check, where);
  if (spec.kind == CheckKind::Command) {
    readCommand(command, where + ".command", spec);
  } else if (spec.kind == CheckKind::Http) {
    readHttp(member(check, "http", where), where + ".http", spec);
  } else {
    const Json& tcp = member(check, "tcp", where);
    spec.port = portOf(tcp, where + ".tcp");
    spec.ipv6 = isIpv6(tcp, where + ".tcp");
  }
  spec.delay = secondsField(check, "delay_seconds", 15, where);
  spec.interval = secondsField(check, "interval_seconds", 10, where);
  spec.timeout = secondsField(check, "timeout_seconds", 20, where);
  return spec;
}

}  // namespace

const char* nameOf(CheckKind kind) {
  switch (kind) {
    case CheckKind::Command: return "COMMAND";
    case CheckKind::Http: return "HTTP";
    case CheckKind::Tcp: return "TCP";
  }
  return "";
}

std::optional<CheckSpec> checkOf(const Json& task) {
  const Json& check = member(task, "check", "task");
  if (check.is_null()) return std::nullopt;
  return commonSpec(check, member(member(check, "command", "check"), "command", "check"), "check");
}

std::optional<HealthSpec> healthCheckOf(const Json& task) {
  const Json& check = member(task, "health_check", "task");
  if (check.is_null()) return std::nullopt;
  HealthSpec spec;
  spec.check = commonSpec(check, member(check, "command", "health_check"), "health_check");
  const int64_t failures = integerOr(check, "consecutive_failures", spec.consecutiveFailures, "health_check");
  if (failures < 0) throw InvalidField("health_check.consecutive_failures must not be negative");
  if (failures > UINT32_MAX) throw InvalidField("health_check.consecutive_failures is too large");
  spec.consecutiveFailures = static_cast<uint32_t>(failures);
  spec.gracePeriod = secondsField(check, "grace_period_seconds", 10, "health_check");
  return spec;
}

}  // namespace executor
