// The list of what containers wait for, which the agent's endpoint /containerizer/debug shows.
#pragma once

#include "abi/mesos.hpp"

mesos::internal::PendingFutureTracker* createPendingFutureTracker();
