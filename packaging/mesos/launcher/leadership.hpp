// How a master becomes the leading one, and how masters and agents learn who leads.
#pragma once

#include "abi/mesos.hpp"
#include "flag_values.hpp"

struct Leadership {
  mesos::master::contender::MasterContender* contender;
  mesos::master::detector::MasterDetector* detector;
};

// Fails unless a master's --zk, --master_contender and --master_detector go together.
void checkLeadershipFlags(const FlagValues& flags);

// A master's: through ZooKeeper with --zk, through modules with --master_contender and --master_detector. A master with
// neither is alone, and leads.
Leadership createLeadership(const FlagValues& flags);

// Fails unless an agent has exactly one of --master and --master_detector.
void checkMasterFlags(const FlagValues& flags);

// An agent's.
mesos::master::detector::MasterDetector* createMasterDetector(const FlagValues& flags);
