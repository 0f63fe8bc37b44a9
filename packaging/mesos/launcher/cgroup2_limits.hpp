// What a container may use, and the files of cgroup version 2 that hold it to that.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// Whether it is one of the isolators of control groups that there is on version 2.
bool isVersion2Isolator(const std::string& isolator);

// The controllers that the isolators in --isolation need; cgroups/all needs those of its that are available.
std::set<std::string> controllersFor(const std::string& isolation, const std::set<std::string>& available);

// Infinite where a framework wants no limit.
struct Allotment {
  std::optional<double> cpus;
  bool revocableCpus = false;
  std::optional<double> cpuLimit;
  std::optional<uint64_t> memory;  // bytes
  std::optional<double> memoryLimit;  // MiB
};

using Settings = std::vector<std::pair<std::string, std::string>>;  // file and value, in the order to be written

// cpu.weight, and cpu.max where the task has a limit of its own, or each has (`quota`).
Settings processorSettings(const Allotment& allotment, bool quota);

// A container's memory.max; none is no limit.
std::optional<uint64_t> memoryLimit(const Allotment& allotment);

// What is left to a container when others want memory: its request.
uint64_t memoryRequest(const Allotment& allotment);
