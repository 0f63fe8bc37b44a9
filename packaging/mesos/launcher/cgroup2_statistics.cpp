#include "cgroup2_statistics.hpp"

#include <ctime>

#include "wire_format.hpp"

namespace {

// Field numbers of mesos.ResourceStatistics.
constexpr unsigned TIMESTAMP = 1, CPUS_USER_TIME_SECS = 2, CPUS_SYSTEM_TIME_SECS = 3, MEM_RSS_BYTES = 5,
                   MEM_LIMIT_BYTES = 6, CPUS_NR_PERIODS = 7, CPUS_NR_THROTTLED = 8, CPUS_THROTTLED_TIME_SECS = 9,
                   MEM_FILE_BYTES = 10, MEM_ANON_BYTES = 11, MEM_MAPPED_FILE_BYTES = 12, PROCESSES = 30, THREADS = 31,
                   MEM_TOTAL_BYTES = 36, MEM_CACHE_BYTES = 39, MEM_SWAP_BYTES = 40, MEM_UNEVICTABLE_BYTES = 41;

std::string seconds(unsigned field, const Cgroup2& cgroup, const std::string& microseconds)
{
  const auto value = cgroup.entry("cpu.stat", microseconds);
  return value ? doubleField(field, *value / 1e6) : "";
}

std::string integer(unsigned field, std::optional<uint64_t> value)
{
  return value ? integerField(field, *value) : "";
}

std::string serializedStatistics(const Cgroup2& cgroup)
{
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return doubleField(TIMESTAMP, now.tv_sec + now.tv_nsec / 1e9) +
         seconds(CPUS_USER_TIME_SECS, cgroup, "user_usec") +
         seconds(CPUS_SYSTEM_TIME_SECS, cgroup, "system_usec") +
         integer(CPUS_NR_PERIODS, cgroup.entry("cpu.stat", "nr_periods")) +
         integer(CPUS_NR_THROTTLED, cgroup.entry("cpu.stat", "nr_throttled")) +
         seconds(CPUS_THROTTLED_TIME_SECS, cgroup, "throttled_usec") +
         integer(PROCESSES, cgroup.lines("cgroup.procs")) +
         integer(THREADS, cgroup.lines("cgroup.threads")) +
         integer(MEM_TOTAL_BYTES, cgroup.number("memory.current")) +
         integer(MEM_LIMIT_BYTES, cgroup.number("memory.max")) +
         integer(MEM_SWAP_BYTES, cgroup.number("memory.swap.current")) +
         integer(MEM_RSS_BYTES, cgroup.entry("memory.stat", "anon")) +
         integer(MEM_ANON_BYTES, cgroup.entry("memory.stat", "anon")) +
         integer(MEM_FILE_BYTES, cgroup.entry("memory.stat", "file")) +
         integer(MEM_CACHE_BYTES, cgroup.entry("memory.stat", "file")) +
         integer(MEM_MAPPED_FILE_BYTES, cgroup.entry("memory.stat", "file_mapped")) +
         integer(MEM_UNEVICTABLE_BYTES, cgroup.entry("memory.stat", "unevictable"));
}

}

mesos::ResourceStatistics statisticsOf(const Cgroup2& cgroup)
{
  mesos::ResourceStatistics statistics;
  statistics.ParseFromString(serializedStatistics(cgroup));
  return statistics;
}
