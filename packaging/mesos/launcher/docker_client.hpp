// The docker client that the agent and its executors run.
#pragma once

#include "flag_values.hpp"

// Without --docker, takes mesos-docker-client from --launcher_dir where there is one: it speaks to today's engines as
// Mesos expects it.
void preferOwnDockerClient(FlagValues& flags);
