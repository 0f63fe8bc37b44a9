// Where a master keeps what must outlive it: the list of its agents.
#pragma once

#include "abi/mesos.hpp"
#include "flag_values.hpp"

// The storage that --registry, --work_dir, --quorum and --zk ask for; fails with Mesos' messages.
mesos::state::Storage* createRegistryStorage(const FlagValues& flags);
