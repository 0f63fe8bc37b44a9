#include "containerizers.hpp"

#include <set>

#include "abi/containerizers.hpp"
#include "cgroup_hierarchies.hpp"
#include "diagnostics.hpp"
#include "docker_statistics.hpp"
#include "mesos_containerizer.hpp"
#include "text.hpp"

using namespace mesos::internal::slave;
using mesos::slave::ContainerLogger;
using process::Owned;
using process::Shared;

namespace {

const Option<NvidiaComponents> NO_GPUS;

// Mesos gives the client five seconds, which is too short on a host that is still booting.
void validateDockerVersion(const Docker& docker)
{
  constexpr int ATTEMPTS = 12;
  for (int attempt = 1;; attempt++) {
    Try<Nothing> validated = docker.validateVersion(Version{1, 8, 0, {}, {}});
    if (validated.isSome()) return;
    if (validated.error() != "Timed out getting docker version" || attempt == ATTEMPTS)
      fail("Failed to create docker: " + validated.error());
    logWarning(validated.error() + "; trying again");
  }
}

// Mesos' DockerContainerizer::create, but for Docker::create's validation: that insists on a mounted version 1 cpu
// hierarchy, although Docker Engine is what sets the limits. The other thing that it validates is checked here.
Containerizer* createDockerContainerizer(
    const Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts)
{
  Try<ContainerLogger*> logger = ContainerLogger::create(flags.at<Option<std::string>>("container_logger"));
  if (logger.isError()) fail("Failed to create container logger: " + logger.error());

  // Never destroyed: the containerizer uses the Docker that it owns.
  auto* docker = new Try<Owned<Docker>>(Docker::create(
      flags.text("docker"), flags.text("docker_socket"), false, flags.at<Option<JSON::Object>>("docker_config")));
  if (docker->isError()) fail("Failed to create docker: " + docker->error());

  validateDockerVersion(*docker->get().get());
  return new DockerContainerizerOnVersion2(
      mesosFlags, parts.fetcher, Owned<ContainerLogger>(logger.get()), Shared<Docker>(docker->get().get()), NO_GPUS);
}

Containerizer* createWithoutVersion1(
    const Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts)
{
  const std::string list = flags.text("containerizers");
  const std::vector<std::string> types = split(list, ',');
  const std::set<std::string> ordered(types.begin(), types.end());  // Mesos, too, asks them in the names' order
  if (ordered.size() != types.size()) fail("Duplicate entries found in --containerizers flag '" + list + "'");

  std::vector<Containerizer*> containerizers;
  for (const std::string& type : ordered) {
    if (type == "docker")
      containerizers.push_back(createDockerContainerizer(mesosFlags, flags, parts));
    else if (type == "mesos")
      containerizers.push_back(createMesosContainerizerOnVersion2(mesosFlags, flags, parts));
    else
      fail("Unknown or unsupported containerizer: " + type);
  }
  if (containerizers.size() == 1) return containerizers.front();

  Try<ComposingContainerizer*> composed = ComposingContainerizer::create(containerizers);
  if (composed.isError()) fail("Failed to create a containerizer: " + composed.error());
  return composed.get();
}

}

Containerizer* createContainerizer(
    const Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts)
{
  if (!hasVersion1Cpu()) return createWithoutVersion1(mesosFlags, flags, parts);

  Try<Containerizer*> containerizer = Containerizer::create(
      mesosFlags, false, parts.fetcher, parts.gc, parts.secretResolver, parts.volumeGidManager, parts.futureTracker,
      nullptr);
  if (containerizer.isError()) fail("Failed to create a containerizer: " + containerizer.error());
  return containerizer.get();
}
