// What an agent's flags come to on a host with cgroup version 2 only.
#pragma once

#include "flag_values.hpp"

// What needs version 1, or a controller that this host lacks, is refused where the operator asked for it, and replaced
// or left out where it is only Mesos' default.
void adaptToCgroupVersion2(FlagValues& flags);
