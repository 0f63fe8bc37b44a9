#include "cgroup_hierarchies.hpp"

#include <mntent.h>

#include <cstdio>
#include <cstring>
#include <memory>

bool hasVersion1Cpu()
{
  std::unique_ptr<FILE, decltype(&endmntent)> mounts(setmntent("/proc/mounts", "r"), &endmntent);
  while (const mntent* mount = mounts ? getmntent(mounts.get()) : nullptr)
    if (std::strcmp(mount->mnt_type, "cgroup") == 0 && hasmntopt(mount, "cpu")) return true;
  return false;
}
