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

}

Leadership createLeadership(const FlagValues& flags)
{
  const auto& zk = flags.at<Option<flags::SecurePathOrValue>>("zk");
  const auto& contenderModule = flags.at<Option<std::string>>("master_contender");
  const auto& detectorModule = flags.at<Option<std::string>>("master_detector");
  if (zk.isNone() && contenderModule.isNone() && detectorModule.isNone()) {
    auto* detector = new StandaloneMasterDetector;
    return {new OnlyContender(detector), detector};
  }

  const Option<std::string> url = zk.isSome() ? Option<std::string>(zk.get().value) : Option<std::string>();
  const Option<Duration> sessionTimeout = flags.at<Duration>("zk_session_timeout");
  Try<MasterContender*> contender = MasterContender::create(url, contenderModule, sessionTimeout);
  if (contender.isError()) fail("Failed to create a master contender: " + contender.error());
  Try<MasterDetector*> detector = MasterDetector::create(url, detectorModule, sessionTimeout);
  if (detector.isError()) fail("Failed to create a master detector: " + detector.error());
  return {contender.get(), detector.get()};
}
