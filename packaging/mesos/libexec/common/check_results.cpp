#include "check_results.hpp"

#include <sys/wait.h>

#include "wait_status.hpp"

namespace executor {
namespace {

// Why a result is a failure, or "".
std::string failureOf(CheckKind kind, const CheckResult& result) {
  if (!result.value) return result.error.empty() ? "no result" : result.error;
  const int value = *result.value;
  switch (kind) {
    case CheckKind::Command: return value == 0 ? "" : "the command exited with status " + std::to_string(value);
    case CheckKind::Http: return value >= 200 && value < 400 ? "" : "HTTP status " + std::to_string(value);
    case CheckKind::Tcp: return value != 0 ? "" : "the TCP connection failed";
  }
  return "";
}

}  // namespace

CheckResult commandResult(int status) {
  if (WIFEXITED(status)) return {WEXITSTATUS(status), ""};
  return {std::nullopt, "the command " + describeWaitStatus(status)};
}

std::optional<HealthVerdict> HealthJudge::judge(const CheckResult& result, Clock::time_point now) {
  const std::string failure = failureOf(spec_.check.kind, result);
  if (failure.empty()) {
    const bool news = !everHealthy_ || failures_ > 0;
    everHealthy_ = true;
    failures_ = 0;
    return news ? std::optional<HealthVerdict>({true, false, ""}) : std::nullopt;
  }
  const bool inGrace = !everHealthy_ && spec_.gracePeriod > Duration::zero() && now - start_ <= spec_.gracePeriod;
  if (inGrace) return std::nullopt;
  ++failures_;
  const bool isLast = spec_.consecutiveFailures > 0 && failures_ >= spec_.consecutiveFailures;
  return HealthVerdict{false, isLast, failure};
}

Json checkStatus(CheckKind kind, const CheckResult& result) {
  Json status = {{"type", nameOf(kind)}};
  switch (kind) {
    case CheckKind::Command:
      status["command"] = Json::object();
      if (result.value) status["command"]["exit_code"] = *result.value;
      break;
    case CheckKind::Http:
      status["http"] = Json::object();
      if (result.value) status["http"]["status_code"] = *result.value;
      break;
    case CheckKind::Tcp:
      status["tcp"] = Json::object();
      if (result.value) status["tcp"]["succeeded"] = *result.value != 0;
      break;
  }
  return status;
}

}  // namespace executor
