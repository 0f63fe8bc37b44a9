// What runs the tasks: --containerizers, on hosts with cgroup version 1 as Mesos makes them, on others our way.
#pragma once

#include "abi/mesos.hpp"
#include "flag_values.hpp"

// The parts of an agent that its containerizers work with.
struct ContainerizerParts {
  mesos::internal::slave::Fetcher* fetcher;
  mesos::internal::slave::GarbageCollector* gc;
  mesos::SecretResolver* secretResolver;
  mesos::internal::slave::VolumeGidManager* volumeGidManager;  // null without --volume_gid_range
  mesos::internal::PendingFutureTracker* futureTracker;
};

mesos::internal::slave::Containerizer* createContainerizer(
    const mesos::internal::slave::Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts);
