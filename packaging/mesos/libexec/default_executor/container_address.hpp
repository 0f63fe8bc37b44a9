// The IP address of the executor's container.
#pragma once

#include <string>

namespace executor {

// What the agent has set for libprocess, or else what the host's own name stands for.
std::string containerAddress();

}  // namespace executor
