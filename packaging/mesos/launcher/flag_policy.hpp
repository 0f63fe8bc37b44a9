// Flags that Mesos accepts but that could not be honoured here: refused, each with its reason.
#pragma once

#include <string>

#include "flag_values.hpp"

void refuseMasterFlags(const FlagValues& flags);

void refuseAgentFlags(const FlagValues& flags);

// Ends the program.
[[noreturn]] void refuse(const std::string& flag, const std::string& value, const std::string& reason);
