#include "plugins.hpp"

#include "abi/modules.hpp"
#include "diagnostics.hpp"

using mesos::modules::Anonymous;
using mesos::modules::ModuleManager;

namespace {

// Modules that implement no interface of Mesos: to exist is their work.
void createAnonymousModules()
{
  for (const auto& [name, module] : ModuleManager::moduleBases) {
    if (module->kind != std::string("Anonymous")) continue;
    Try<Anonymous*> created = ModuleManager::create<Anonymous>(name, Option<mesos::Parameters>());
    if (created.isError()) fail("Failed to create anonymous module named '" + name + "': " + created.error());
  }
}

}

void loadModules(const FlagValues& flags)
{
  const auto& modules = flags.at<Option<mesos::Modules>>("modules");
  const auto& folder = flags.at<Option<std::string>>("modules_dir");
  if (modules.isSome() && folder.isSome()) fail("Only one of --modules or --modules_dir should be specified");

  if (modules.isSome() || folder.isSome()) {
    Try<Nothing> loaded =
        modules.isSome() ? ModuleManager::loadManifest(modules.get()) : ModuleManager::load(folder.get());
    if (loaded.isError()) fail("Error loading modules: " + loaded.error());
  }
  createAnonymousModules();
}

void installHooks(const FlagValues& flags)
{
  const auto& hooks = flags.at<Option<std::string>>("hooks");
  if (hooks.isNone()) return;
  Try<Nothing> installed = mesos::internal::HookManager::initialize(hooks.get());
  if (installed.isError()) fail("Error installing hooks: " + installed.error());
}
