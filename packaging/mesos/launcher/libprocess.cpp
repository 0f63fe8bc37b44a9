#include "libprocess.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

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

// Fails where libprocess could not listen: it would abort with a stack trace.
void checkAddress(const FlagValues& flags)
{
  const char* ip = getenv("LIBPROCESS_IP");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(flags.at<uint16_t>("port"));
  if (ip && inet_pton(AF_INET, ip, &address.sin_addr) != 1)
    fail("Cannot listen on '" + std::string(ip) + "': an IPv4 address is needed, as in --ip=192.0.2.1");

  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail(
        "Cannot listen on " + std::string(ip ? ip : "0.0.0.0") + ":" + flags.text("port") + ": " +
        std::strerror(errno));
  close(probe);
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
  checkAddress(flags);
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
