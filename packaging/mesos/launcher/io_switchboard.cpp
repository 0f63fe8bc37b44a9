// mesos-io-switchboard: stands between a container and whoever attaches to its input and output, over a socket that only
// the agent knows. The agent starts one for each container that has a terminal, and for each session.
#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <thread>

#include "abi/io_switchboard.hpp"
#include "abi/virtual_base.hpp"
#include "diagnostics.hpp"
#include "flag_values.hpp"

using mesos::internal::slave::IOSwitchboardServer;

namespace {

const Duration FOREVER(-1'000'000'000);
constexpr std::chrono::seconds LEFT_FOR_OUTPUT(5);

int descriptor(const FlagValues& flags, const std::string& name)
{
  const auto& value = flags.at<Option<int>>(name);
  if (value.isNone()) fail("mesos-io-switchboard: '--" + name + "' is missing");
  return value.get();
}

// The kernel says so, and not that there is nothing more to read, when nobody has a terminal open any longer. The agent
// takes a failure for the container's.
bool isEndOfTerminal(const std::string& failure)
{
  return failure == "Failed redirecting stdout: " + std::string(strerror(EIO));
}

process::Owned<IOSwitchboardServer> createServer(const FlagValues& flags)
{
  const auto& socket = flags.at<Option<std::string>>("socket_address");
  if (socket.isNone()) fail("mesos-io-switchboard: '--socket_address' is missing");

  Try<process::Owned<IOSwitchboardServer>> server = IOSwitchboardServer::create(
      flags.at<bool>("tty"), descriptor(flags, "stdin_to_fd"), descriptor(flags, "stdout_from_fd"),
      descriptor(flags, "stdout_to_fd"), descriptor(flags, "stderr_from_fd"), descriptor(flags, "stderr_to_fd"),
      socket.get(), flags.at<bool>("wait_for_connection"), flags.at<Option<Duration>>("heartbeat_interval"));
  if (server.isError()) fail("mesos-io-switchboard: the server can't be made: " + server.error());
  return server.get();
}

}

int main(int argc, char** argv)
{
  // SIGTERM says that nobody will connect any more. It is waited for in a thread; those of libmesos inherit the mask.
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &terminate, nullptr);

  // The agent asks for eight threads. There is one pair of streams to carry.
  setenv("LIBPROCESS_NUM_WORKER_THREADS", "2", 1);

  // Never destroyed: what libmesos destroys with them would be the outlines that we have of them.
  auto& mesosFlags = *new IOSwitchboardServer::Flags;
  auto& base = virtualBase<flags::FlagsBase>(mesosFlags);
  const Try<flags::Warnings> loaded = base.load(Option<std::string>(), argc, argv, false, false);
  if (loaded.isError()) fail("mesos-io-switchboard: " + loaded.error());
  if (base.help) {
    std::cout << base.usage(Option<std::string>()) << std::endl;
    return EXIT_SUCCESS;
  }

  process::Owned<IOSwitchboardServer> server = createServer(FlagValues(&mesosFlags, base));
  std::mutex serving;
  std::thread([&] {
    int signal = 0;
    sigwait(&terminate, &signal);
    {
      const std::lock_guard lock(serving);
      if (server.get() != nullptr) server.get()->unblock();
    }
    // The container has ended. Something of it that was missed may hold its streams, and the agent waits a minute for that.
    std::this_thread::sleep_for(LEFT_FOR_OUTPUT);
    std::_Exit(EXIT_SUCCESS);
  }).detach();

  const process::Future<Nothing> run = server.get()->run();
  run.await(FOREVER);
  if (run.isFailed() && !isEndOfTerminal(run.failure())) fail("mesos-io-switchboard: " + run.failure());

  // What is left of it sees to it that whoever is attached gets all that there was.
  const std::lock_guard lock(serving);
  server = process::Owned<IOSwitchboardServer>();
  std::_Exit(EXIT_SUCCESS);
}
