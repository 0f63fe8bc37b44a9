// What Docker containers use, on hosts with cgroup version 2 only: Mesos reads version 1.
#pragma once

#include <map>
#include <string>

#include "abi/containerizers.hpp"

class DockerContainerizerOnVersion2 : public mesos::internal::slave::DockerContainerizer {
public:
  using DockerContainerizer::DockerContainerizer;

  // The processor time and memory of the container; what Mesos says itself where it has no cgroup (yet, or any more).
  process::Future<mesos::ResourceStatistics> usage(const mesos::ContainerID& container) override;

private:
  std::map<std::string, std::string> cgroups;  // of containers asked for before; agents ask one at a time
};
