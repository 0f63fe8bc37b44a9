#include "libprocess.hpp"

#include <cstdlib>

#include "abi/mesos.hpp"
#include "abi/virtual_base.hpp"
#include "diagnostics.hpp"
#include "text.hpp"

namespace {

const Duration FOREVER(-1'000'000'000);

// Exports the address given as `flag`, or found out by the command given as `flag`_discovery_command.
void exportGivenOrDiscovered(const FlagValues& flags, const std::string& flag, const char* variable)
{
  const std::string command = flag + "_discovery_command";
  if (flags.isSet(command) && flags.isSet(flag))
    fail("Only one of `--" + flag + "` or `--" + command + "` should be specified");

  if (flags.isSet(command)) {
    Try<std::string> output = os::shell(flags.text(command));
    if (output.isError()) fail("--" + command + ": " + output.error());
    const std::string address = trimmed(output.get());
    if (address.empty()) fail("--" + command + " printed no address");
    setenv(variable, address.c_str(), 1);
  } else if (flags.isSet(flag)) {
    setenv(variable, flags.text(flag).c_str(), 1);
  }
}

void exportGiven(const FlagValues& flags, const std::string& flag, const char* variable)
{
  const std::string value = flags.text(flag);
  if (!value.empty()) setenv(variable, value.c_str(), 1);
}

}

void initializeLogging(int argc, const char* const* argv, const flags::Warnings& warnings)
{
  Option<mesos::internal::logging::Flags> flags;
  flags.emplace().load(std::string("MESOS_"), argc, argv, true, false);
  mesos::internal::logging::initialize(argv[0], true, flags);
  for (const flags::Warning& warning : warnings.warnings) logWarning(warning.message);
}

void exportAddress(const FlagValues& flags)
{
  exportGivenOrDiscovered(flags, "ip", "LIBPROCESS_IP");
  exportGiven(flags, "port", "LIBPROCESS_PORT");
  exportGiven(flags, "advertise_ip", "LIBPROCESS_ADVERTISE_IP");
  exportGiven(flags, "advertise_port", "LIBPROCESS_ADVERTISE_PORT");
}

void exportAddress6(const FlagValues& flags)
{
  exportGivenOrDiscovered(flags, "ip6", "LIBPROCESS_IP6");
}

void startLibprocess(const FlagValues& flags, const std::string& id, const std::string& realm)
{
  exportGiven(flags, "memory_profiling", "LIBPROCESS_MEMORY_PROFILING");
  process::initialize(id, realm + "-readwrite", realm + "-readonly");
  process::spawn(&virtualBase<process::ProcessBase>(*new mesos::internal::VersionProcess), true);
}

void run(process::ProcessBase& actor)
{
  process::wait(process::spawn(&actor, false), FOREVER);
}
