// mesos-master: what Mesos' own main program does, in its order, on top of the official libmesos.
#include "abi/mesos.hpp"
#include "abi/virtual_base.hpp"
#include "agent_removal_limit.hpp"
#include "diagnostics.hpp"
#include "flag_policy.hpp"
#include "flag_values.hpp"
#include "leadership.hpp"
#include "libprocess.hpp"
#include "plugins.hpp"
#include "registry.hpp"
#include "security.hpp"
#include "text.hpp"

using namespace mesos;
using internal::master::Master;
using internal::master::Registrar;
using internal::master::allocator::HierarchicalDRFAllocator;

namespace {

const std::string READONLY_REALM = "mesos-master-readonly";

std::string authorizerName(const FlagValues& flags)
{
  const std::vector<std::string> names = split(flags.text("authorizers"), ',');
  if (names.empty()) fail("No authorizer specified");
  if (names.size() > 1) fail("Multiple authorizers not supported");
  return names.front();
}

}

int main(int argc, char** argv)
{
  auto* mesosFlags = new internal::master::Flags;
  FlagValues flags(mesosFlags, virtualBase<flags::FlagsBase>(*mesosFlags));
  const flags::Warnings warnings = flags.load(argc, argv);
  refuseMasterFlags(flags);
  checkLeadershipFlags(flags);
  flags.answerVersion();
  initializeLogging(argc, argv, warnings);

  exportAddress(flags);
  startLibprocess(flags, "master", "mesos-master");
  installFirewall(flags);
  loadModules(flags);
  installHooks(flags);

  auto* allocator = new HierarchicalDRFAllocator;
  logInfo("Using '" + flags.text("allocator") + "' allocator");
  auto* state = new state::State(createRegistryStorage(flags));
  auto* registrar = new Registrar(*mesosFlags, state, READONLY_REALM);
  const Leadership leadership = createLeadership(flags);
  const Option<Authorizer*> authorizer = createAuthorizer(flags, authorizerName(flags));
  auto* files = new internal::Files(READONLY_REALM, authorizer);

  auto* master = new Master(
      allocator, registrar, files, leadership.contender, leadership.detector, authorizer,
      createAgentRemovalLimiter(flags), *mesosFlags);
  run(virtualBase<process::ProcessBase>(*master));
}
