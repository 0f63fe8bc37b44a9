// mesos-master: what Mesos' own main program does, on top of the official libmesos.
#include "abi/mesos.hpp"
#include "abi/virtual_base.hpp"
#include "diagnostics.hpp"
#include "flag_values.hpp"
#include "leadership.hpp"
#include "libprocess.hpp"
#include "registry.hpp"

using namespace mesos;
using internal::master::Master;
using internal::master::Registrar;

int main(int argc, char** argv)
{
  auto* mesosFlags = new internal::master::Flags;
  FlagValues flags(mesosFlags, virtualBase<flags::FlagsBase>(*mesosFlags));
  initializeLogging(argc, argv, flags.load(argc, argv));
  exportAddress(flags);
  startLibprocess("master", "mesos-master");

  auto* allocator = new internal::master::allocator::HierarchicalDRFAllocator;
  auto* state = new state::State(createRegistryStorage(flags));
  const std::string readonlyRealm = "mesos-master-readonly";
  auto* registrar = new Registrar(*mesosFlags, state, readonlyRealm);
  Leadership leadership = createLeadership(flags);
  Option<Authorizer*> authorizer;
  auto* files = new internal::Files(readonlyRealm, authorizer);

  auto* master = new Master(
      allocator, registrar, files, leadership.contender, leadership.detector, authorizer,
      Option<std::shared_ptr<process::RateLimiter>>(), *mesosFlags);
  run(virtualBase<process::ProcessBase>(*master));
}
