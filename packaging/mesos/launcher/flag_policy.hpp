// Flags that Mesos accepts but that could not be honoured here: refused, each with its reason.
#pragma once

#include "flag_values.hpp"

void refuseMasterFlags(const FlagValues& flags);

void refuseAgentFlags(const FlagValues& flags);

// On a host with cgroup version 2 only: what needs version 1 is refused where the operator asked for it, and replaced
// or left out where it is only Mesos' default.
void adaptToCgroupVersion2(FlagValues& flags);
