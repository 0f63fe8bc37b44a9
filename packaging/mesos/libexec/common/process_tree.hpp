// Processes that descend from one, whatever sessions and groups they are in.
#pragma once

#include <sys/types.h>

#include <vector>

namespace executor {

// Makes this process the parent of all descendants that lose theirs: none can get away by ending its own parent.
void adoptOrphans();

// All running descendants of `root`, without itself; zombies are not running, unless they have threads left.
std::vector<pid_t> descendantsOf(pid_t root);
// The same by a look at every process of the host, for kernels that don't list a process' children. Where there are
// thousands it takes a hundred times as long.
std::vector<pid_t> descendantsAmongAll(pid_t root);

// Sends `signal` to all descendants of `root`.
void signalDescendants(pid_t root, int signal);

// Kills all descendants of `root`, also those that they start meanwhile; tries so for a tenth of a second and more.
void killDescendants(pid_t root);

// The same for those descendants of `root` that are in this session.
void killSession(pid_t root, pid_t session);

}  // namespace executor
