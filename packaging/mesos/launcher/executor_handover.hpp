// Executors outlive their agent. The one that is started next may have another key for their tokens, or none, and may
// listen on another socket: what they were told when they were started does not serve any more.
#pragma once

#include "flag_values.hpp"

// Leaves for each executor that this agent will find again how to reach it, and a token: as JSON in the file
// agent_access.json beside the pid that the executor has left for the agent. The domain socket's path, and the token,
// are empty when the agent wants none. An executor that can't be told is a warning in the log: it tries what it knows.
void handOverExecutors(const FlagValues& flags);
