#include "leadership.hpp"

#include "diagnostics.hpp"

using mesos::MasterInfo;
using mesos::master::contender::MasterContender;
using mesos::master::contender::StandaloneMasterContender;
using mesos::master::detector::MasterDetector;
using mesos::master::detector::StandaloneMasterDetector;

namespace {

// A master presents itself to its contender before it asks the detector who leads: the only one is the leader.
class OnlyContender : public StandaloneMasterContender {
public:
  explicit OnlyContender(StandaloneMasterDetector* detector) : detector(detector) {}

  void initialize(const MasterInfo& info) override
  {
    detector->appoint(Option<MasterInfo>(info));
    StandaloneMasterContender::initialize(info);
  }

private:
  StandaloneMasterDetector* detector;
};

// The text of a flag that may be secret, such as a ZooKeeper URL with a password: "file://PATH" is the file's contents.
Option<std::string> secretText(const FlagValues& flags, const std::string& name)
{
  const auto& value = flags.at<Option<flags::SecurePathOrValue>>(name);
  return value.isSome() ? Option<std::string>(value.get().value) : Option<std::string>();
}

MasterDetector* createDetector(const FlagValues& flags, const Option<std::string>& master)
{
  Try<MasterDetector*> detector = MasterDetector::create(
      master, flags.at<Option<std::string>>("master_detector"), flags.at<Duration>("zk_session_timeout"));
  if (detector.isError()) fail("Failed to create a master detector: " + detector.error());
  return detector.get();
}

}

void checkLeadershipFlags(const FlagValues& flags)
{
  const bool contender = flags.isSet("master_contender"), detector = flags.isSet("master_detector");
  if (contender != detector) fail("Both --master_contender and --master_detector should be specified or omitted.");
  if (flags.isSet("zk") && contender)
    fail("Only one of --zk or the --master_contender/--master_detector pair should be specified.");
}

Leadership createLeadership(const FlagValues& flags)
{
  const Option<std::string> zk = secretText(flags, "zk");
  const auto& contenderModule = flags.at<Option<std::string>>("master_contender");
  if (zk.isNone() && contenderModule.isNone()) {
    auto* detector = new StandaloneMasterDetector;
    return {new OnlyContender(detector), detector};
  }

  Try<MasterContender*> contender =
      MasterContender::create(zk, contenderModule, flags.at<Duration>("zk_session_timeout"));
  if (contender.isError()) fail("Failed to create a master contender: " + contender.error());
  return {contender.get(), createDetector(flags, zk)};
}

void checkMasterFlags(const FlagValues& flags)
{
  const bool master = flags.isSet("master"), detector = flags.isSet("master_detector");
  if (!master && !detector) fail("Missing required option `--master` or `--master_detector`");
  if (master && detector) fail("Only one of `--master` or `--master_detector` should be specified");
}

MasterDetector* createMasterDetector(const FlagValues& flags)
{
  return createDetector(flags, secretText(flags, "master"));
}
