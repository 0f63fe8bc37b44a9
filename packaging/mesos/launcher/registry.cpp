#include "registry.hpp"

#include "diagnostics.hpp"
#include "text.hpp"

using mesos::log::Log;

namespace {

Log* createLog(const FlagValues& flags, const std::string& path)
{
  const bool autoInitialize = flags.at<bool>("log_auto_initialize");
  const std::string metricsPrefix = "registrar/";
  const auto& zk = flags.at<Option<flags::SecurePathOrValue>>("zk");
  if (zk.isNone()) return new Log(1, path, std::set<process::UPID>(), autoInitialize, metricsPrefix);

  const auto& quorum = flags.at<Option<int>>("quorum");
  if (quorum.isNone()) fail("Need to specify --quorum for replicated log based registry when using ZooKeeper");

  Try<zookeeper::URL> url = zookeeper::URL::parse(zk.get().value);
  if (url.isError()) fail("Error parsing ZooKeeper URL: " + url.error());
  return new Log(
      quorum.get(), path, url.get().servers, flags.at<Duration>("zk_session_timeout"),
      joinedPath(url.get().path, "log_replicas"), url.get().authentication, autoInitialize, metricsPrefix);
}

}

mesos::state::Storage* createRegistryStorage(const FlagValues& flags)
{
  const std::string registry = flags.text("registry");
  if (registry == "in_memory") return new mesos::state::InMemoryStorage;
  if (registry != "replicated_log" && registry != "log_storage")
    fail("'" + registry + "' is not a supported option for registry persistence");

  const std::string workDirectory = flags.text("work_dir");
  if (workDirectory.empty()) fail("--work_dir needed for replicated log based registry");
  Try<Nothing> made = os::mkdir(workDirectory, true, false);
  if (made.isError()) fail("Failed to create work directory '" + workDirectory + "': " + made.error());

  return new mesos::state::LogStorage(createLog(flags, joinedPath(workDirectory, "replicated_log")), 0);
}
