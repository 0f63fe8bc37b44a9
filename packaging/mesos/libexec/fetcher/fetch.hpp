// Puts a task's URIs into its sandbox.
#pragma once

#include "fetcher_info.hpp"

namespace executor {

// All of them, in their order, as the user whom `info` names. Throws std::runtime_error for the first that fails, with
// the URI in the message.
void fetchAll(const FetcherInfo& info);

}  // namespace executor
