#include "cgroup2_isolator.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <system_error>
#include <thread>

#include "cgroup2_statistics.hpp"
#include "diagnostics.hpp"
#include "file_changes.hpp"
#include "flag_policy.hpp"
#include "text.hpp"
#include "wire_format.hpp"

using google::protobuf::Map;
using mesos::ContainerID;
using mesos::ContainerStatus;
using mesos::Resources;
using mesos::ResourceStatistics;
using mesos::Value_Scalar;
using mesos::slave::ContainerConfig;
using mesos::slave::ContainerLaunchInfo;
using mesos::slave::ContainerLimitation;
using mesos::slave::ContainerState;
using process::Failure;
using process::Future;

namespace {

const char* const LEAF = "leaf";
const char* const NESTED = "mesos";  // as in Mesos' getCgroupPath

// Field numbers of Mesos' messages.
namespace config {
constexpr unsigned TASK_INFO = 9, CONTAINER_INFO = 12, RESOURCES = 13, LIMITS = 16;
}
namespace state {
constexpr unsigned CONTAINER_ID = 2, CONTAINER_INFO = 6;
}
namespace info {
constexpr unsigned LINUX_INFO = 8, SHARE_CGROUPS = 8;
}
namespace id {
constexpr unsigned PARENT = 2;
}
namespace resource {
constexpr unsigned NAME = 1, TYPE = 2, SCALAR = 3, REVOCABLE = 9, SCALAR_TYPE = 0;
}
namespace scalar {
constexpr unsigned VALUE = 1;
}
namespace entry {
constexpr unsigned KEY = 1, VALUE = 2;
}
namespace limitation {
constexpr unsigned RESOURCES = 1, MESSAGE = 2, REASON = 3, CONTAINER_LIMITATION_MEMORY = 8;
}

constexpr double MEBIBYTE = 1 << 20;

std::string only(const std::vector<std::string>& fields)
{
  return fields.empty() ? "" : fields.back();
}

bool isNested(const ContainerID& container)
{
  return !fieldsOf(container.SerializeAsString(), id::PARENT).empty();
}

// A nested container shares its parent's limits unless it says otherwise.
bool sharesLimits(const ContainerID& container, const std::string& containerInfo)
{
  const bool nested = isNested(container);
  return nested && integerOf(only(fieldsOf(containerInfo, info::LINUX_INFO)), info::SHARE_CGROUPS).value_or(1) != 0;
}

// Of a container that is launched. Its resources may come in several parts, of different roles.
Allotment allotmentOf(const std::string& containerConfig)
{
  Allotment allotment;
  double memory = 0;
  for (const std::string& part : fieldsOf(containerConfig, config::RESOURCES)) {
    const std::string name = only(fieldsOf(part, resource::NAME));
    const double value = doubleOf(only(fieldsOf(part, resource::SCALAR)), scalar::VALUE).value_or(0);
    if (name == "mem") memory += value;
    if (name != "cpus") continue;
    allotment.cpus = allotment.cpus.value_or(0) + value;
    if (!fieldsOf(part, resource::REVOCABLE).empty()) allotment.revocableCpus = true;
  }
  allotment.memory = static_cast<uint64_t>(memory * MEBIBYTE);
  for (const std::string& limit : fieldsOf(containerConfig, config::LIMITS)) {
    const std::string name = only(fieldsOf(limit, entry::KEY));
    const auto value = doubleOf(only(fieldsOf(limit, entry::VALUE)), scalar::VALUE);
    if (name == "cpus") allotment.cpuLimit = value;
    if (name == "mem") allotment.memoryLimit = value;
  }
  return allotment;
}

std::optional<double> limitIn(const Map<std::string, Value_Scalar>& limits, const std::string& name)
{
  if (limits.count(name) == 0) return std::nullopt;
  return doubleOf(limits.at(name).SerializeAsString(), scalar::VALUE);
}

// Of a container that runs.
Allotment allotmentOf(const Resources& requests, const Map<std::string, Value_Scalar>& limits)
{
  Allotment allotment;
  const Option<double> cpus = requests.cpus();
  if (cpus.isSome()) allotment.cpus = cpus.get();
  allotment.revocableCpus = requests.revocable().cpus().isSome();
  const Option<Bytes> memory = requests.mem();
  if (memory.isSome()) allotment.memory = memory.get().value;
  allotment.cpuLimit = limitIn(limits, "cpus");
  allotment.memoryLimit = limitIn(limits, "mem");
  return allotment;
}

bool wasKilledForMemory(const Cgroup2& cgroup)
{
  // What is nested in it may have been killed at a limit of its own.
  const auto local = [&cgroup](const char* event) {
    return cgroup.entry("memory.events.local", event).value_or(0) > 0;
  };
  return local("oom_group_kill") || local("oom_kill") ||
         (local("oom") && cgroup.entry("memory.events", "oom_kill").value_or(0) > 0);
}

// Mesos' way to have a container that is above its request killed before all others.
uint64_t scoreAbove(uint64_t request)
{
  struct sysinfo host = {};
  sysinfo(&host);
  const uint64_t total = static_cast<uint64_t>(host.totalram) * host.mem_unit;
  return 1000 - 1000 * std::min(request, total) / total;
}

std::string inMegabytes(uint64_t bytes)
{
  return std::to_string(bytes >> 20) + "MB";
}

ContainerLimitation memoryLimitation(const Cgroup2& cgroup)
{
  const auto limit = cgroup.number("memory.max");
  const uint64_t most = cgroup.number("memory.peak").value_or(limit.value_or(0)); // no peak before Linux 5.19
  const bool own = cgroup.entry("memory.events.local", "oom").value_or(0) > 0;
  const std::string message = (own ? "Memory limit exceeded:" : "Killed, because the host was out of memory:") +
      (limit ? " Requested: " + inMegabytes(*limit) : "") + " Maximum Used: " + inMegabytes(most);

  const std::string memory =
      bytesField(resource::NAME, "mem") + integerField(resource::TYPE, resource::SCALAR_TYPE) +
      bytesField(resource::SCALAR, doubleField(scalar::VALUE, static_cast<double>(most) / MEBIBYTE));
  ContainerLimitation limitation;
  limitation.ParseFromString(
      bytesField(limitation::RESOURCES, memory) + bytesField(limitation::MESSAGE, message) +
      integerField(limitation::REASON, limitation::CONTAINER_LIMITATION_MEMORY));
  return limitation;
}

// Memory is kept for containers as far as it is kept for them together.
void keepMemoryForAll(const std::string& root)
{
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const Cgroup2 all(root);
  uint64_t sum = 0;
  for (const std::string& name : all.children()) sum += all.child(name).number("memory.low").value_or(0);
  all.write("memory.low", std::to_string(sum));
}

// libmesos lacks the constructor that takes the value.
template <typename T>
Future<T> answered(const T& value)
{
  auto future = Future<T>::pending();
  future.set(value);
  return future;
}

Future<ContainerLimitation> notLimitedYet()
{
  return Future<ContainerLimitation>::pending();
}

template <typename Action>
Future<Nothing> attempt(const Action& action)
{
  try {
    action();
    return Nothing();
  } catch (const std::system_error& error) {
    return Failure(error.what());
  }
}

// "mesos" → "/mesos", with the controllers handed down to its children.
std::string preparedRoot(const FlagValues& flags, const std::set<std::string>& controllers)
{
  std::string path;
  Cgroup2 cgroup("/");
  try {
    cgroup.enableForChildren(controllers);
    for (const std::string& name : split(flags.text("cgroups_root"), '/')) {
      if (name.empty()) continue;
      path += "/" + name;
      cgroup = cgroup.child(name);
      if (!cgroup.exists()) cgroup.create();
      cgroup.enableForChildren(controllers);
    }
  } catch (const std::system_error& error) {
    fail(std::string("Failed to prepare the control group of containers: ") + error.what());
  }
  if (access(cgroup.file("cgroup.kill").c_str(), W_OK) != 0)
    refuse("isolation", flags.text("isolation"), "it needs cgroup.kill, which Linux has since 5.14");
  return path;
}

}

Cgroup2Isolator::Cgroup2Isolator(const FlagValues& flags)
    : controllers(controllersFor(flags.text("isolation"), Cgroup2("/").controllers())),
      root(preparedRoot(flags, controllers)),
      quota(flags.at<bool>("cgroups_enable_cfs")),
      noSwap(flags.at<bool>("cgroups_limit_swap")),
      revocableIsLow(flags.at<bool>("revocable_cpu_low_priority")),
      patience(std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::nanoseconds(flags.at<Duration>("cgroups_destroy_timeout").nanoseconds())))
{}

std::string Cgroup2Isolator::pathOf(const ContainerID& container) const
{
  return mesos::internal::slave::containerizer::paths::getCgroupPath(root, container);
}

void Cgroup2Isolator::add(const std::string& path, const Container& container)
{
  containers.insert_or_assign(path, container);
  if (!container.controlled || !has("memory")) return;
  const Cgroup2 cgroup(path);
  watchFile(cgroup.file("memory.events"), [cgroup, limitation = container.limitation]() mutable {
    if (wasKilledForMemory(cgroup)) limitation.set(memoryLimitation(cgroup));
  });
}

Future<Nothing> Cgroup2Isolator::recover(
    const std::vector<ContainerState>& states, const hashset<ContainerID>& orphans)
{
  std::set<std::string> known;
  for (const ContainerState& state : states) {
    const std::string bytes = state.SerializeAsString();
    ContainerID container;
    container.ParseFromString(only(fieldsOf(bytes, state::CONTAINER_ID)));
    const std::string path = pathOf(container);
    known.insert(path);
    const bool controlled = !sharesLimits(container, only(fieldsOf(bytes, state::CONTAINER_INFO)));
    if (Cgroup2(path).exists())
      add(path, {controlled, true, false, notLimitedYet()});
    else
      logWarning("There is no control group " + path + ": that container has no limits, or has ended");
    // One that began with a request has it in memory.low, and gets no lower limit while it runs: see limitMemory().
    if (controlled && has("memory") && Cgroup2(path).number("memory.low") == 0)
      logWarning("The container of " + path + " gets no limit of memory: it began when the agent had no cgroups/mem");
  }
  for (const ContainerID& container : orphans) {
    const std::string path = pathOf(container);
    known.insert(path);
    if (Cgroup2(path).exists()) add(path, {false, true, false, notLimitedYet()}); // Mesos destroys it next
  }
  destroyUnknown(Cgroup2(root), root, known);
  return Nothing();
}

void Cgroup2Isolator::destroyUnknown(
    const Cgroup2& parent, const std::string& path, const std::set<std::string>& known)
{
  for (const std::string& name : parent.children()) {
    const std::string child = path + "/" + name;
    if (known.count(child) != 0) {
      const Cgroup2 nested = parent.child(name).child(NESTED);
      destroyUnknown(nested, child + "/" + NESTED, known);
    } else {
      logInfo("Cleaning up the control group " + child + " of a container that nobody knows");
      destroy(child);
    }
  }
}

Future<Option<ContainerLaunchInfo>> Cgroup2Isolator::prepare(
    const ContainerID& container, const ContainerConfig& containerConfig)
{
  const std::string bytes = containerConfig.SerializeAsString();
  const std::string path = pathOf(container);
  const bool nested = !fieldsOf(container.SerializeAsString(), id::PARENT).empty();
  const bool controlled = !sharesLimits(container, only(fieldsOf(bytes, config::CONTAINER_INFO)));
  const bool isTask = nested || !fieldsOf(bytes, config::TASK_INFO).empty();
  Container made = {controlled, false, isTask, notLimitedYet()};
  try {
    const std::string above = path.substr(0, path.rfind('/'));
    if (nested) {
      const Cgroup2 parent(above.substr(0, above.rfind('/')));
      // Of a container that has none, because the agent had other isolators when it began, a nested one has none either.
      if (!parent.exists() && !made.controlled) return answered(Option<ContainerLaunchInfo>());
      const Cgroup2 separator(above);
      if (!separator.exists()) separator.create();
      if (made.controlled) {
        parent.enableForChildren(controllers);
        separator.enableForChildren(controllers);
      }
    }
    containers.insert_or_assign(path, made); // so that it is cleaned up when the next fails
    const Cgroup2 cgroup(path);
    cgroup.create();
    cgroup.child(LEAF).create();
    if (made.controlled) {
      if (has("memory")) cgroup.write("memory.oom.group", "1");
      apply(path, made, allotmentOf(bytes));
    }
    add(path, made);
  } catch (const std::system_error& error) {
    return Failure(std::string("Failed to prepare a control group: ") + error.what());
  }
  return answered(Option<ContainerLaunchInfo>());
}

void Cgroup2Isolator::apply(const std::string& path, Container& container, const Allotment& wanted)
{
  const Cgroup2 cgroup(path);
  Allotment allotment = wanted;
  allotment.revocableCpus = allotment.revocableCpus && revocableIsLow;
  if (has("cpu"))
    for (const auto& [file, value] : processorSettings(allotment, quota)) cgroup.write(file, value);
  if (has("memory")) limitMemory(cgroup, container, allotment);
}

void Cgroup2Isolator::limitMemory(const Cgroup2& cgroup, Container& container, const Allotment& allotment)
{
  cgroup.write("memory.low", std::to_string(memoryRequest(allotment)));
  keepMemoryForAll(root);

  // A limit is only raised while the container runs: what it uses might be above a lower one, and it would be killed.
  const auto limit = memoryLimit(allotment);
  const auto before = cgroup.number("memory.max");
  if (container.memoryIsLimited && (!before || (limit && *limit < *before))) return;
  cgroup.write("memory.max", limit ? std::to_string(*limit) : "max");
  if (noSwap && !container.memoryIsLimited) cgroup.write("memory.swap.max", "0");
  container.memoryIsLimited = true;
}

Future<Nothing> Cgroup2Isolator::isolate(const ContainerID& container, pid_t pid)
{
  const std::string path = pathOf(container);
  const auto found = containers.find(path);
  if (found == containers.end() && isNested(container)) return Nothing(); // of one without a group, see prepare()
  if (found == containers.end()) return Failure("Unknown container");
  return attempt([&] {
    const Cgroup2 cgroup(path);
    const uint64_t request = cgroup.number("memory.low").value_or(0);
    const auto limit = cgroup.number("memory.max");
    if (found->second.mayBeKilledFirst && found->second.controlled && has("memory") && (!limit || request < *limit))
      std::ofstream("/proc/" + std::to_string(pid) + "/oom_score_adj") << scoreAbove(request);
    cgroup.child(LEAF).write("cgroup.procs", std::to_string(pid));
  });
}

Future<ContainerLimitation> Cgroup2Isolator::watch(const ContainerID& container)
{
  const auto found = containers.find(pathOf(container));
  return found == containers.end() ? notLimitedYet() : found->second.limitation;
}

Future<Nothing> Cgroup2Isolator::update(
    const ContainerID& container, const Resources& requests, const Map<std::string, Value_Scalar>& limits)
{
  const std::string path = pathOf(container);
  const auto found = containers.find(path);
  if (found == containers.end() || !found->second.controlled) return Nothing();
  return attempt([&] { apply(path, found->second, allotmentOf(requests, limits)); });
}

Future<ResourceStatistics> Cgroup2Isolator::usage(const ContainerID& container)
{
  const Cgroup2 cgroup(pathOf(container));
  if (!cgroup.exists()) return Failure("Unknown container");
  return statisticsOf(cgroup);
}

Future<ContainerStatus> Cgroup2Isolator::status(const ContainerID&)
{
  return answered(ContainerStatus());
}

Future<Nothing> Cgroup2Isolator::cleanup(const ContainerID& container)
{
  const std::string path = pathOf(container);
  if (containers.erase(path) == 0) return Nothing();
  return destroy(path);
}

// In a thread of its own: what can't be interrupted may take its time.
Future<Nothing> Cgroup2Isolator::destroy(const std::string& path)
{
  forgetFile(Cgroup2(path).file("memory.events"));
  auto destroyed = Future<Nothing>::pending();
  std::thread([this, path, destroyed]() mutable {
    try {
      const Cgroup2 cgroup(path);
      if (cgroup.exists()) {
        if (!cgroup.killAll(patience)) {
          destroyed.fail("Processes in the control group " + path + " don't end");
          return;
        }
        cgroup.remove();
      }
      if (has("memory")) keepMemoryForAll(root);
      destroyed.set(Nothing());
    } catch (const std::system_error& error) {
      destroyed.fail(std::string("Failed to destroy a control group: ") + error.what());
    }
  }).detach();
  return destroyed;
}
