// How a master becomes the leading one, and how it learns who leads.
#pragma once

#include "abi/mesos.hpp"
#include "flag_values.hpp"

struct Leadership {
  mesos::master::contender::MasterContender* contender;
  mesos::master::detector::MasterDetector* detector;
};

// Through ZooKeeper with --zk, through modules with --master_contender and --master_detector; a master with neither
// is alone, and leads.
Leadership createLeadership(const FlagValues& flags);
