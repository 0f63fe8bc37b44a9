#include "executor_access.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "diagnostics.hpp"
#include "text.hpp"

using mesos::authentication::executor::JWTSecretGenerator;
using process::network::internal::SocketImpl;
using process::network::unix::Socket;

std::string executorKey(const FlagValues& flags)
{
  const std::string path = flags.text("jwt_secret_key");
  if (path.empty()) return "";

  std::ostringstream key;
  if (!(key << std::ifstream(path).rdbuf())) fail("Failed to read the file specified by --jwt_secret_key: " + path);
  return key.str();
}

mesos::SecretGenerator* createSecretGenerator(const FlagValues& flags)
{
  const std::string key = executorKey(flags);
  return key.empty() ? nullptr : new JWTSecretGenerator(key);
}

void settleDomainSocketLocation(FlagValues& flags)
{
  if (!flags.at<bool>("http_executor_domain_sockets")) return;
  auto& location = flags.at<Option<std::string>>("domain_socket_location");
  if (location.isNone()) location = joinedPath(flags.text("runtime_dir"), "agent.sock");
  if (location.get().size() >= sizeof sockaddr_un::sun_path)
    fail("Domain socket location '" + location.get() + "' must have less than 108 characters.");
}

Option<Socket> createExecutorSocket(const FlagValues& flags)
{
  if (!flags.at<bool>("http_executor_domain_sockets")) return Option<Socket>();
  const std::string location = flags.text("domain_socket_location");
  const auto failBecauseOf = [&location](const std::string& what) {
    fail("Failed to create domain socket: " + what + " " + location + ": " + std::strerror(errno));
  };

  struct stat status;
  if (stat(location.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) unlink(location.c_str());

  const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  location.copy(address.sun_path, sizeof address.sun_path - 1);
  if (bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) failBecauseOf("binding");
  if (chmod(location.c_str(), 0666) != 0) failBecauseOf("changing the mode of");

  // Not TLS, even where that is on: who can reach the socket is a matter of its folder's permissions.
  Try<std::shared_ptr<SocketImpl>> implementation = SocketImpl::create(descriptor, SocketImpl::Kind::POLL);
  if (implementation.isError()) fail("Failed to create domain socket: " + implementation.error());
  logInfo("Using domain socket at " + location);
  return Socket(implementation.get());
}
