#include "pending_futures.hpp"

#include <list>
#include <map>

#include "abi/virtual_base.hpp"

// Mesos defines these classes in a header. libmesos has the functions that fill and show the list, but nothing that
// makes one: names, hierarchy and members must be the same here as there.
namespace mesos::internal {

struct FutureMetadata {
  std::string operation;
  std::string component;
  std::map<std::string, std::string> arguments;
};

class PendingFutureTrackerProcess : public virtual process::ProcessBase {
public:
  PendingFutureTrackerProcess() : ProcessBase(process::ID::generate("pending-future-tracker")) {}

private:
  std::list<FutureMetadata> pending;
};

class PendingFutureTracker {
public:
  explicit PendingFutureTracker(PendingFutureTrackerProcess* process) : process(process) {}

private:
  process::Owned<PendingFutureTrackerProcess> process;
};

}

mesos::internal::PendingFutureTracker* createPendingFutureTracker()
{
  auto* process = new mesos::internal::PendingFutureTrackerProcess;
  process::spawn(&virtualBase<process::ProcessBase>(*process), false);
  return new mesos::internal::PendingFutureTracker(process);
}
