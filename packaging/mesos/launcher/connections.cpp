// How long a connection is kept whose other side takes nothing.
//
// Mesos has one connection to a host, and what it sends waits behind what was sent before. The kernel tries ever more
// rarely to reach a host that is off: every minute in the end. A host that came back was not heard of until the next
// try, so the masters called its agent unreachable in spite of its having registered again, and went on doing so until
// the agent, too, had missed the pings for 75 seconds. A connection that is given up after less than the 15 seconds
// between two pings is made anew by the next one.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

constexpr unsigned LONGEST_SILENCE_MS = 10000;

}

// In place of the C library's, also for libmesos.so.
extern "C" int connect(int descriptor, const sockaddr* address, socklen_t length)
{
  if (address != nullptr && (address->sa_family == AF_INET || address->sa_family == AF_INET6)) {
    const int before = errno;
    const unsigned silence = LONGEST_SILENCE_MS;
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence, sizeof silence); // datagram sockets have none
    errno = before;
  }
  return static_cast<int>(syscall(SYS_connect, descriptor, address, length));
}
