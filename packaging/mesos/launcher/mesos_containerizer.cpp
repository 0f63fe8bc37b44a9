#include "mesos_containerizer.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "abi/isolators.hpp"
#include "abi/modules.hpp"
#include "cgroup2_isolator.hpp"
#include "diagnostics.hpp"
#include "text.hpp"

using namespace mesos::internal::slave;
using mesos::modules::ModuleManager;
using mesos::slave::Isolator;
using process::Owned;
using process::Shared;

namespace {

using Creator = std::function<Try<Isolator*>()>;

// The names in --isolation, without the old ones, and with those that Mesos adds.
std::set<std::string> isolatorsOf(const FlagValues& flags)
{
  const std::string list = flags.text("isolation");
  const std::vector<std::string> names = split(list, ',');
  std::set<std::string> isolators(names.begin(), names.end());
  if (isolators.size() != names.size()) fail("Duplicate entries found in --isolation flag '" + list + "'");

  const std::pair<const char*, std::vector<std::string>> replacements[] = {
      {"process", {"posix/cpu", "posix/mem"}},
      {"cgroups", {"cgroups/cpu", "cgroups/mem"}},
      {"posix/disk", {"disk/du"}}};
  for (const auto& [old, current] : replacements)
    if (isolators.erase(old) != 0) isolators.insert(current.begin(), current.end());

  const auto count = [&isolators](const char* kind) {
    return std::count_if(
        isolators.begin(), isolators.end(), [kind](const std::string& name) { return startsWith(name, kind); });
  };
  if (count("filesystem/") > 1) fail("Using multiple filesystem isolators simultaneously is disallowed");
  if (count("filesystem/") == 0) isolators.insert("filesystem/posix");
  if (count("network/") > 1) fail("Using multiple network isolators simultaneously is disallowed");
  if (count("network/") == 0) isolators.insert("network/cni");
  isolators.insert("environment_secret");
  return isolators;
}

// In Mesos' order: they prepare a container one after the other, and clean up in reverse.
std::vector<std::pair<std::string, Creator>> creators(
    const Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts)
{
  const auto ownIsolator = [&flags]() -> Try<Isolator*> { return Try<Isolator*>(new Cgroup2Isolator(flags)); };
  const auto mesosOwn = [&mesosFlags](Try<Isolator*> (*create)(const Flags&)) {
    return [&mesosFlags, create] { return create(mesosFlags); };
  };
  const auto withGids = [&mesosFlags, &parts](Try<Isolator*> (*create)(const Flags&, VolumeGidManager*)) {
    return [&mesosFlags, &parts, create] { return create(mesosFlags, parts.volumeGidManager); };
  };
  const auto withSecrets = [&mesosFlags, &parts](Try<Isolator*> (*create)(const Flags&, mesos::SecretResolver*)) {
    return [&mesosFlags, &parts, create] { return create(mesosFlags, parts.secretResolver); };
  };
  return {
      {"filesystem/posix", withGids(&PosixFilesystemIsolatorProcess::create)},
      {"posix/cpu", mesosOwn(&PosixCpuIsolatorProcess::create)},
      {"posix/mem", mesosOwn(&PosixMemIsolatorProcess::create)},
      {"posix/rlimits", mesosOwn(&PosixRLimitsIsolatorProcess::create)},
      {"cgroups/", ownIsolator},
      {"linux/capabilities", mesosOwn(&LinuxCapabilitiesIsolatorProcess::create)},
      {"linux/nnp", mesosOwn(&LinuxNNPIsolatorProcess::create)},
      {"volume/sandbox_path", withGids(&VolumeSandboxPathIsolatorProcess::create)},
      {"docker/volume", mesosOwn(&DockerVolumeIsolatorProcess::create)},
      {"volume/host_path", mesosOwn(&VolumeHostPathIsolatorProcess::create)},
      {"volume/secret", withSecrets(&VolumeSecretIsolatorProcess::create)},
      {"disk/du", mesosOwn(&PosixDiskIsolatorProcess::create)},
      {"network/cni", mesosOwn(&NetworkCniIsolatorProcess::create)},
      {"environment_secret", withSecrets(&EnvironmentSecretIsolatorProcess::create)},
  };
}

Owned<Isolator> tracked(const Try<Isolator*>& created, const std::string& name, const ContainerizerParts& parts)
{
  if (created.isError()) fail("Failed to create isolator '" + name + "': " + created.error());
  return Owned<Isolator>(new IsolatorTracker(Owned<Isolator>(created.get()), name, parts.futureTracker));
}

std::vector<Owned<Isolator>> createIsolators(
    const Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts)
{
  std::set<std::string> missing = isolatorsOf(flags);
  std::vector<Owned<Isolator>> isolators;
  for (const auto& [name, create] : creators(mesosFlags, flags, parts)) {
    const bool family = name.back() == '/';
    const auto wanted = std::find_if(missing.begin(), missing.end(), [&, &name = name](const std::string& isolator) {
      return family ? startsWith(isolator, name) : isolator == name;
    });
    if (wanted == missing.end()) continue;
    isolators.push_back(tracked(create(), *wanted, parts));
    for (auto each = missing.begin(); each != missing.end();)
      each = *each == name || (family && startsWith(*each, name)) ? missing.erase(each) : std::next(each);
  }

  for (const std::string& name : split(flags.text("isolation"), ',')) {
    const auto module = ModuleManager::moduleBases.find(name);
    if (module == ModuleManager::moduleBases.end() || module->second->kind != std::string("Isolator")) continue;
    isolators.push_back(tracked(ModuleManager::create<Isolator>(name, Option<mesos::Parameters>()), name, parts));
    missing.erase(name);
  }
  if (!missing.empty()) fail("Unknown or unsupported isolator '" + *missing.begin() + "'");
  return isolators;
}

}

Containerizer* createMesosContainerizerOnVersion2(
    const Flags& mesosFlags, const FlagValues& flags, const ContainerizerParts& parts)
{
  const std::vector<Owned<Isolator>> isolators = createIsolators(mesosFlags, flags, parts);

  Try<Launcher*> launcher = SubprocessLauncher::create(mesosFlags);
  if (launcher.isError()) fail("Failed to create launcher: " + launcher.error());
  const Owned<Launcher> trackedLauncher(new LauncherTracker(Owned<Launcher>(launcher.get()), parts.futureTracker));

  // Never destroyed: the containerizer uses the provisioner that it owns.
  auto* provisioner = new Try<Owned<Provisioner>>(Provisioner::create(mesosFlags, parts.secretResolver));
  if (provisioner->isError()) fail("Failed to create provisioner: " + provisioner->error());

  Try<MesosContainerizer*> containerizer = MesosContainerizer::create(
      mesosFlags, false, parts.fetcher, parts.gc, trackedLauncher, Shared<Provisioner>(provisioner->get().get()),
      isolators, parts.volumeGidManager);
  if (containerizer.isError()) fail("Could not create MesosContainerizer: " + containerizer.error());
  return containerizer.get();
}
