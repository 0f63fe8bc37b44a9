#include "docker_statistics.hpp"

#include "cgroup2.hpp"
#include "cgroup2_statistics.hpp"
#include "wire_format.hpp"

using mesos::ContainerID;
using mesos::ResourceStatistics;
using process::Future;

namespace {

constexpr unsigned CONTAINER_VALUE = 1;  // a field of mesos.ContainerID

}

Future<ResourceStatistics> DockerContainerizerOnVersion2::usage(const ContainerID& container)
{
  const std::string id = fieldsOf(container.SerializeAsString(), CONTAINER_VALUE).front();
  std::string& path = cgroups[id];
  if (!Cgroup2(path).exists()) path = cgroupOfProcessWith("MESOS_CONTAINER_NAME=mesos-" + id);
  const Cgroup2 cgroup(path);
  if (!cgroup.exists()) {
    cgroups.erase(id);
    return DockerContainerizer::usage(container);
  }

  return statisticsOf(cgroup);
}
