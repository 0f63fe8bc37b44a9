// The Mesos containerizer on hosts with cgroup version 2 only: Mesos' own parts, but for what needs version 1.
#pragma once

#include "containerizers.hpp"

mesos::internal::slave::Containerizer* createMesosContainerizerOnVersion2(
    const mesos::internal::slave::Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts);
