#include "resources.hpp"

#include <cmath>

namespace executor {
namespace {

Milli milli(double value, const std::string& where) {
  if (!std::isfinite(value) || std::fabs(value) > 9e12) throw InvalidField(where + " is out of range");
  return std::llround(value * 1000);
}

void add(std::optional<Milli>& sum, Milli value) { sum = sum.value_or(0) + value; }

void addAll(const Json& resources, Resources& sum) {
  for (const Json& resource : resources) {
    const std::string name = textOr(resource, "name", "", "resource");
    const std::string where = "resource '" + name + "'";
    if (sum.allocationRole.empty()) {
      sum.allocationRole = textOr(member(resource, "allocation_info", where), "role", "", where);
    }
    const Json& scalar = member(resource, "scalar", where);
    if (name == "cpus" || name == "mem" || name == "gpus") {
      const Milli value = milli(numberOr(scalar, "value", 0, where), where);
      add(name == "cpus" ? sum.cpus : name == "mem" ? sum.memory : sum.gpus, value);
    } else if (name == "ports") {
      for (const Json& range : arrayOf(member(resource, "ranges", where), "range", where)) {
        sum.ports.emplace_back(static_cast<uint64_t>(integerOr(range, "begin", 0, where)),
                               static_cast<uint64_t>(integerOr(range, "end", 0, where)));
      }
    }
  }
}

}  // namespace

bool Resources::hasPort(uint64_t port) const {
  for (const auto& [begin, end] : ports) {
    if (begin <= port && port <= end) return true;
  }
  return false;
}

Resources resourcesOf(const Json& task) {
  Resources sum;
  addAll(arrayOf(task, "resources", "task"), sum);
  addAll(arrayOf(member(task, "executor", "task"), "resources", "task.executor"), sum);
  return sum;
}

Limit limitOf(const Json& task, const char* name) {
  const std::string where = std::string("task.limits.") + name;
  const Json& scalar = member(member(task, "limits", "task"), name, "task.limits");
  Limit limit;
  if (scalar.is_null()) return limit;
  limit.set = true;
  const Json& value = member(scalar, "value", where);
  // JSON has no infinity: protobuf's mapping writes a word, other writers a number that overflows.
  if (value.is_string()) {
    const std::string word = value.get<std::string>();
    if (word != "Infinity" && word != "infinity" && word != "inf") {
      throw InvalidField(where + " is '" + word + "': must be a number or Infinity");
    }
    limit.infinite = true;
  } else if (std::isinf(numberOr(scalar, "value", 0, where))) {
    limit.infinite = true;
  } else {
    limit.value = milli(numberOr(scalar, "value", 0, where), where);
  }
  return limit;
}

uint64_t bytesOf(Milli mebibytes) {
  // 2^20 / 1000 = 131072 / 125, without overflow for any amount a host can have.
  return static_cast<uint64_t>(mebibytes < 0 ? 0 : mebibytes) * 131072 / 125;
}

}  // namespace executor
