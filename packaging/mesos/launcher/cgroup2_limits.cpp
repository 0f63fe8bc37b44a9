#include "cgroup2_limits.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "text.hpp"

namespace {

const std::map<std::string, std::string> CONTROLLERS = {
    {"cgroups/cpu", "cpu"}, {"cgroups/mem", "memory"}, {"cgroups/pids", "pids"}};
const char* const ALL = "cgroups/all";

// Mesos' figures for version 1.
constexpr double SHARES_PER_CPU = 1024, SHARES_PER_REVOCABLE_CPU = 10, LEAST_SHARES = 2;
constexpr uint64_t PERIOD_MICROSECONDS = 100000, LEAST_QUOTA_MICROSECONDS = 1000;
constexpr uint64_t MEBIBYTE = 1 << 20, LEAST_MEMORY = 32 * MEBIBYTE;

// As Docker Engine's run times do it, so that a command and a Docker task with the same cpus weigh the same.
uint64_t weightOf(uint64_t shares)
{
  return 1 + (std::clamp<uint64_t>(shares, 2, 262144) - 2) * 9999 / 262142;
}

}

bool isVersion2Isolator(const std::string& isolator)
{
  return isolator == ALL || CONTROLLERS.count(isolator) != 0;
}

std::set<std::string> controllersFor(const std::string& isolation, const std::set<std::string>& available)
{
  std::set<std::string> controllers;
  for (const std::string& isolator : split(isolation, ',')) {
    const auto found = CONTROLLERS.find(isolator);
    if (found != CONTROLLERS.end()) controllers.insert(found->second);
    if (isolator == "cgroups") controllers.insert({"cpu", "memory"}); // Mesos' old name for the two
    if (isolator != ALL) continue;
    for (const auto& [name, controller] : CONTROLLERS)
      if (available.count(controller) != 0) controllers.insert(controller);
  }
  return controllers;
}

Settings processorSettings(const Allotment& allotment, bool quota)
{
  const double cpus = allotment.cpus.value_or(0);
  const double perCpu = allotment.revocableCpus ? SHARES_PER_REVOCABLE_CPU : SHARES_PER_CPU;
  const auto shares = static_cast<uint64_t>(std::max(cpus * perCpu, LEAST_SHARES));
  Settings settings = {{"cpu.weight", std::to_string(weightOf(shares))}};
  if (!allotment.cpuLimit && !quota) return settings;

  const double limit = allotment.cpuLimit.value_or(cpus);
  const std::string most = std::isinf(limit)
      ? "max"
      : std::to_string(std::max(static_cast<uint64_t>(limit * PERIOD_MICROSECONDS), LEAST_QUOTA_MICROSECONDS));
  settings.emplace_back("cpu.max", most + " " + std::to_string(PERIOD_MICROSECONDS));
  return settings;
}

std::optional<uint64_t> memoryLimit(const Allotment& allotment)
{
  if (!allotment.memoryLimit) return memoryRequest(allotment);
  if (std::isinf(*allotment.memoryLimit)) return std::nullopt;
  return std::max(static_cast<uint64_t>(*allotment.memoryLimit) * MEBIBYTE, LEAST_MEMORY);
}

uint64_t memoryRequest(const Allotment& allotment)
{
  return std::max(allotment.memory.value_or(0), LEAST_MEMORY);
}
