// Mesos' resources as exact numbers: scalars have three decimals (Mesos' own rule), so everything is computed in
// whole thousandths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "json.hpp"

namespace executor {

// Thousandths: of a cpu, of a mebibyte.
using Milli = int64_t;

struct Resources {
  std::optional<Milli> cpus;
  std::optional<Milli> memory;  // mebibytes
  std::optional<Milli> gpus;
  std::vector<std::pair<uint64_t, uint64_t>> ports;  // ranges, both ends included
  std::string allocationRole;

  bool hasPort(uint64_t port) const;
};

// The sum of a TaskInfo's resources and those of its executor.
Resources resourcesOf(const Json& task);

// One of TaskInfo.limits: absent, a number, or without bound.
struct Limit {
  bool set = false;
  bool infinite = false;
  Milli value = 0;
};
Limit limitOf(const Json& task, const char* name);

// Bytes of a number of thousandths of a mebibyte, rounded down.
uint64_t bytesOf(Milli mebibytes);

}  // namespace executor
