// Gets what a URI stands for into a new file: over the network, from this host, or by Hadoop's client.
#pragma once

#include <string>

#include "fetcher_info.hpp"

namespace executor {

// Writes to `path`, which is there as a whole or not at all; a file that was there before is replaced. Throws
// std::runtime_error.
void obtain(const FetchItem& item, const std::string& path, const FetcherInfo& info);

// Copies a file of this host, likewise.
void copyFile(const std::string& from, const std::string& path);

}  // namespace executor
