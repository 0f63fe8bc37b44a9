// The container of a task, inside of the executor's: what the agent is told to launch. Pure.
#pragma once

#include <string>

#include "json.hpp"

namespace executor {

// The content of a LAUNCH_CONTAINER call. `address`: the IP address of the executor's container.
Json launchOf(const Json& task, const Json& containerId, const std::string& address);

}  // namespace executor
