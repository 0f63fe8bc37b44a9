// How fast a master may give up agents that do not answer.
#pragma once

#include <memory>

#include "abi/process.hpp"
#include "flag_values.hpp"

// --agent_removal_rate_limit=NUMBER/DURATION; none without it.
Option<std::shared_ptr<process::RateLimiter>> createAgentRemovalLimiter(const FlagValues& flags);
