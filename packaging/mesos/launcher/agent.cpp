// mesos-slave, alias mesos-agent: what Mesos' own main program does, in its order, on top of the official libmesos.
#include "abi/mesos.hpp"
#include "abi/virtual_base.hpp"
#include "agent_cgroup.hpp"
#include "attributes.hpp"
#include "cgroup_hierarchies.hpp"
#include "containerizers.hpp"
#include "diagnostics.hpp"
#include "docker_client.hpp"
#include "executor_access.hpp"
#include "executor_handover.hpp"
#include "flag_policy.hpp"
#include "flag_values.hpp"
#include "leadership.hpp"
#include "libprocess.hpp"
#include "pending_futures.hpp"
#include "plugins.hpp"
#include "security.hpp"
#include "version2_policy.hpp"

using namespace mesos;
using internal::slave::Containerizer;
using internal::slave::CSIServer;
using internal::slave::Fetcher;
using internal::slave::GarbageCollector;
using internal::slave::Slave;
using internal::slave::TaskStatusUpdateManager;
using internal::slave::VolumeGidManager;
using mesos::slave::QoSController;
using mesos::slave::ResourceEstimator;

namespace {

const std::string READONLY_REALM = "mesos-agent-readonly";

template <typename T>
T orFail(const Try<T>& created, const std::string& what)
{
  if (created.isError()) fail("Failed to " + what + ": " + created.error());
  return created.get();
}

VolumeGidManager* createVolumeGidManager(const internal::slave::Flags& mesosFlags, const FlagValues& flags)
{
  if (!flags.isSet("volume_gid_range")) return nullptr;
  return orFail(VolumeGidManager::create(mesosFlags), "initialize volume gid manager");
}

}

int main(int argc, char** argv)
{
  auto* mesosFlags = new internal::slave::Flags;
  FlagValues flags(mesosFlags, virtualBase<flags::FlagsBase>(*mesosFlags));
  const flags::Warnings warnings = flags.load(argc, argv);
  refuseAgentFlags(flags);
  if (!hasVersion1Cpu()) adaptToCgroupVersion2(flags);
  preferOwnDockerClient(flags);
  checkMasterFlags(flags);
  checkAttributes(flags);
  flags.answerVersion();
  initializeLogging(argc, argv, warnings);

  exportAddress(flags);
  exportAddress6(flags);
  settleDomainSocketLocation(flags);
  enterAgentCgroups(flags);
  const std::string id = process::ID::generate("slave");
  startLibprocess(flags, id, "mesos-agent");
  installFirewall(flags);
  loadModules(flags);
  installHooks(flags);
  initializeSystemdSupport(flags);

  ContainerizerParts parts;
  parts.fetcher = new Fetcher(*mesosFlags);
  parts.gc = new GarbageCollector(flags.text("work_dir"));
  parts.secretResolver = orFail(
      SecretResolver::create(flags.at<Option<std::string>>("secret_resolver")), "initialize secret resolver");
  parts.volumeGidManager = createVolumeGidManager(*mesosFlags, flags);
  parts.futureTracker = createPendingFutureTracker();
  Containerizer* containerizer = createContainerizer(*mesosFlags, flags, parts);

  auto* detector = createMasterDetector(flags);
  const Option<Authorizer*> authorizer = createAuthorizer(flags, flags.text("authorizer"));
  auto* files = new internal::Files(READONLY_REALM, authorizer);
  auto* updates = new TaskStatusUpdateManager(*mesosFlags);
  auto* resourceEstimator = orFail(
      ResourceEstimator::create(flags.at<Option<std::string>>("resource_estimator")), "create resource estimator");
  auto* qosController = orFail(
      QoSController::create(flags.at<Option<std::string>>("qos_controller")), "create QoS Controller");

  handOverExecutors(flags);
  auto* slave = new Slave(
      id, *mesosFlags, detector, containerizer, files, parts.gc, updates, resourceEstimator, qosController,
      createSecretGenerator(flags), parts.volumeGidManager, parts.futureTracker, process::Owned<CSIServer>(),
      createExecutorSocket(flags), authorizer);
  run(virtualBase<process::ProcessBase>(*slave));
}
