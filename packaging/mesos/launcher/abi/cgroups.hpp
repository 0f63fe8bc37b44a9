// Mesos' handling of cgroup version 1 and of systemd.
#pragma once

#include <sys/types.h>

#include <set>
#include <string>

#include "abi/flags.hpp"

namespace cgroups {

Try<std::string> prepare(const std::string& baseHierarchy, const std::string& subsystem, const std::string& cgroup);
bool exists(const std::string& hierarchy, const std::string& cgroup);
Try<Nothing> create(const std::string& hierarchy, const std::string& cgroup, bool recursive);
Try<std::set<pid_t>> processes(const std::string& hierarchy, const std::string& cgroup);
Try<Nothing> assign(const std::string& hierarchy, const std::string& cgroup, pid_t pid);

}

namespace systemd {

class Flags : public virtual flags::FlagsBase {
public:
  Flags();
  ~Flags() override;

private:
  char members[1024];
};

bool exists();
Try<Nothing> initialize(const Flags& flags);

}
