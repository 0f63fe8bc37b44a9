// mesos-slave, alias mesos-agent: what Mesos' own main program does, on top of the official libmesos.
#include "abi/mesos.hpp"
#include "abi/virtual_base.hpp"
#include "diagnostics.hpp"
#include "flag_values.hpp"
#include "libprocess.hpp"

using namespace mesos;
using internal::slave::Containerizer;
using internal::slave::Slave;
using mesos::master::detector::MasterDetector;
using mesos::slave::QoSController;
using mesos::slave::ResourceEstimator;

int main(int argc, char** argv)
{
  auto* mesosFlags = new internal::slave::Flags;
  FlagValues flags(mesosFlags, virtualBase<flags::FlagsBase>(*mesosFlags));
  initializeLogging(argc, argv, flags.load(argc, argv));
  exportAddress(flags);
  const std::string id = process::ID::generate("slave");
  startLibprocess(id, "mesos-agent");

  auto* fetcher = new internal::slave::Fetcher(*mesosFlags);
  auto* gc = new internal::slave::GarbageCollector(flags.text("work_dir"));
  Try<SecretResolver*> secretResolver = SecretResolver::create(flags.at<Option<std::string>>("secret_resolver"));
  if (secretResolver.isError()) fail("Failed to initialize secret resolver: " + secretResolver.error());

  Try<Containerizer*> containerizer =
      Containerizer::create(*mesosFlags, false, fetcher, gc, secretResolver.get(), nullptr, nullptr, nullptr);
  if (containerizer.isError()) fail("Failed to create a containerizer: " + containerizer.error());

  const auto& masterFlag = flags.at<Option<flags::SecurePathOrValue>>("master");
  Try<MasterDetector*> detector = MasterDetector::create(
      masterFlag.isSome() ? Option<std::string>(masterFlag.get().value) : Option<std::string>(),
      flags.at<Option<std::string>>("master_detector"), flags.at<Duration>("zk_session_timeout"));
  if (detector.isError()) fail("Failed to create a master detector: " + detector.error());

  Option<Authorizer*> authorizer;
  auto* files = new internal::Files(std::string("mesos-agent-readonly"), authorizer);
  auto* updates = new internal::slave::TaskStatusUpdateManager(*mesosFlags);
  Try<ResourceEstimator*> estimator = ResourceEstimator::create(flags.at<Option<std::string>>("resource_estimator"));
  if (estimator.isError()) fail("Failed to create resource estimator: " + estimator.error());
  Try<QoSController*> qos = QoSController::create(flags.at<Option<std::string>>("qos_controller"));
  if (qos.isError()) fail("Failed to create QoS Controller: " + qos.error());

  auto* slave = new Slave(
      id, *mesosFlags, detector.get(), containerizer.get(), files, gc, updates, estimator.get(), qos.get(), nullptr,
      nullptr, nullptr, process::Owned<internal::slave::CSIServer>(), Option<process::network::unix::Socket>(),
      authorizer);
  run(virtualBase<process::ProcessBase>(*slave));
}
