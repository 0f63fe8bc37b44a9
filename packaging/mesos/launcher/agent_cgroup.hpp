// The agent's and its executors' own place in the hierarchies of cgroup version 1.
#pragma once

#include "flag_values.hpp"

// Moves the agent into a cgroup of its own in each subsystem of --agent_subsystems.
void enterAgentCgroups(const FlagValues& flags);

// On a host with systemd, has executors put into a slice that outlives the agent (--systemd_enable_support).
void initializeSystemdSupport(const FlagValues& flags);
