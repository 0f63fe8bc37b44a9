// What libmesos has of the program mesos-io-switchboard: its server and its flags.
#pragma once

#include <string>

#include "abi/flags.hpp"
#include "abi/process.hpp"

namespace mesos::internal::slave {

class IOSwitchboardServer {
public:
  class Flags : public virtual ::flags::FlagsBase {
  public:
    Flags();
    ~Flags() override;

  private:
    char members[2048];
  };

  static Try<process::Owned<IOSwitchboardServer>> create(
      bool tty,
      int stdinTo,
      int stdoutFrom,
      int stdoutTo,
      int stderrFrom,
      int stderrTo,
      const std::string& socketPath,
      bool waitForConnection,
      Option<Duration> heartbeatInterval);

  // Until the container's output has ended.
  process::Future<Nothing> run();

  // No longer waits for the first connection.
  process::Future<Nothing> unblock();
};

}
