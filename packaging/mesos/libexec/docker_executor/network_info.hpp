// The addresses of a container, as Mesos' NetworkInfo.
#pragma once

#include <optional>

#include "json.hpp"

namespace executor {

// What status updates say about the network of a container that `inspected` describes (an element of what
// `docker inspect` prints); none when it has no address of its own, as on the host's network. Names, groups and
// labels are those that the task asked for.
std::optional<Json> networkInfoOf(const Json& task, const Json& inspected);

}  // namespace executor
