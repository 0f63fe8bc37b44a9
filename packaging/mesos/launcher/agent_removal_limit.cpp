#include "agent_removal_limit.hpp"

#include <charconv>

#include "diagnostics.hpp"

using process::RateLimiter;

Option<std::shared_ptr<RateLimiter>> createAgentRemovalLimiter(const FlagValues& flags)
{
  const std::string text = flags.text("agent_removal_rate_limit");
  if (text.empty()) return Option<std::shared_ptr<RateLimiter>>();
  const std::string refusal =
      "Invalid agent_removal_rate_limit: " + text + ". Format is <Number of agents>/<Duration>";

  const size_t slash = text.find('/');
  if (slash == std::string::npos) fail(refusal);

  int permits = 0;
  const char* end = text.data() + slash;
  const auto [parsed, status] = std::from_chars(text.data(), end, permits);
  if (status != std::errc() || parsed != end || permits <= 0)
    fail(refusal + ": '" + text.substr(0, slash) + "' is no positive number");

  Try<Duration> duration = Duration::parse(text.substr(slash + 1));
  if (duration.isError()) fail(refusal + ": " + duration.error());
  return std::make_shared<RateLimiter>(permits, duration.get());
}
