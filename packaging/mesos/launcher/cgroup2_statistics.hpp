// What a control group of version 2 uses, in Mesos' words.
#pragma once

#include "abi/mesos.hpp"
#include "cgroup2.hpp"

mesos::ResourceStatistics statisticsOf(const Cgroup2& cgroup);
