// The isolators cgroups/cpu, cgroups/mem and cgroups/pids on hosts with cgroup version 2 only, where Mesos has none.
//
// Each container has a cgroup of its own, named and nested as Mesos does it: mesos/CONTAINER, and
// mesos/CONTAINER/mesos/NESTED. The limits are there, the processes one further down, in "leaf": version 2 wants
// processes and controlled groups apart.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>

#include "abi/isolators.hpp"
#include "cgroup2.hpp"
#include "cgroup2_limits.hpp"
#include "flag_values.hpp"

class Cgroup2Isolator : public mesos::slave::Isolator {
public:
  // Ends the program, with the reason, where the host can't do it.
  explicit Cgroup2Isolator(const FlagValues& flags);

  bool supportsNesting() override { return true; }
  bool supportsStandalone() override { return true; }

  // Takes up the containers of the agent before, and clears away what nobody knows any more.
  process::Future<Nothing> recover(
      const std::vector<mesos::slave::ContainerState>& states, const hashset<mesos::ContainerID>& orphans) override;

  process::Future<Option<mesos::slave::ContainerLaunchInfo>> prepare(
      const mesos::ContainerID& container, const mesos::slave::ContainerConfig& config) override;
  process::Future<Nothing> isolate(const mesos::ContainerID& container, pid_t pid) override;
  process::Future<mesos::slave::ContainerLimitation> watch(const mesos::ContainerID& container) override;
  process::Future<Nothing> update(
      const mesos::ContainerID& container, const mesos::Resources& requests,
      const google::protobuf::Map<std::string, mesos::Value_Scalar>& limits) override;
  process::Future<mesos::ResourceStatistics> usage(const mesos::ContainerID& container) override;
  process::Future<mesos::ContainerStatus> status(const mesos::ContainerID& container) override;
  process::Future<Nothing> cleanup(const mesos::ContainerID& container) override;

private:
  struct Container {
    bool controlled;        // false for a nested one that shares the limits of its parent
    bool memoryIsLimited;   // false until it is for the first time
    bool mayBeKilledFirst;  // when the host is out of memory and the container above its request
    process::Future<mesos::slave::ContainerLimitation> limitation;
  };

  std::string pathOf(const mesos::ContainerID& container) const;
  bool has(const std::string& controller) const { return controllers.count(controller) != 0; }
  void add(const std::string& path, const Container& container);
  void apply(const std::string& path, Container& container, const Allotment& allotment);
  void limitMemory(const Cgroup2& cgroup, Container& container, const Allotment& allotment);
  process::Future<Nothing> destroy(const std::string& path);
  void destroyUnknown(const Cgroup2& parent, const std::string& path, const std::set<std::string>& known);

  const std::set<std::string> controllers;
  const std::string root;
  const bool quota;
  const bool noSwap;
  const bool revocableIsLow;
  const std::chrono::milliseconds patience;
  std::map<std::string, Container> containers;  // by the cgroup's path
};
