#include "probe.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "file_descriptor.hpp"

namespace executor {
namespace {

// First letter of what is written: a value follows, or the text of an error.
constexpr char kValue = 'v';
constexpr char kError = 'e';

void writeValue(int fd, long value) { dprintf(fd, "%c%ld", kValue, value); }
void writeError(int fd, const std::string& text) { dprintf(fd, "%c%s", kError, text.c_str()); }

bool enterNetworkOf(pid_t process) {
  const std::string path = "/proc/" + std::to_string(process) + "/ns/net";
  const FileDescriptor network(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return network && setns(network.get(), CLONE_NEWNET) == 0;
}

size_t discard(char*, size_t size, size_t count, void*) { return size * count; }

void probeHttp(const CheckSpec& spec, int fd) {
  CURL* easy = curl_easy_init();
  char errorText[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(easy, CURLOPT_URL, spec.url.c_str());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &discard);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, errorText);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  // Mesos follows redirects and does not verify certificates: the task's own would rarely name 127.0.0.1.
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 50L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  const CURLcode code = curl_easy_perform(easy);
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    writeValue(fd, status);
  } else {
    writeError(fd, errorText[0] != '\0' ? errorText : curl_easy_strerror(code));
  }
}

void probeTcp(const CheckSpec& spec, int fd) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(spec.port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(spec.port);
  v6.sin6_addr = in6addr_loopback;
  const FileDescriptor connection(socket(spec.ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int failed = spec.ipv6 ? connect(connection.get(), reinterpret_cast<sockaddr*>(&v6), sizeof v6)
                               : connect(connection.get(), reinterpret_cast<sockaddr*>(&v4), sizeof v4);
  writeValue(fd, failed == 0 ? 1 : 0);
}

}  // namespace

void probe(const CheckSpec& spec, pid_t process, int fd) {
  if (process > 0 && !enterNetworkOf(process)) {
    writeError(fd, std::string("can't enter the task's network: ") + std::strerror(errno));
  } else if (spec.kind == CheckKind::Http) {
    probeHttp(spec, fd);
  } else {
    probeTcp(spec, fd);
  }
}

CheckResult readProbe(const std::string& written) {
  if (written.size() > 1 && written.front() == kValue) return {std::atoi(written.c_str() + 1), ""};
  if (written.size() > 1 && written.front() == kError) return {std::nullopt, written.substr(1)};
  return {std::nullopt, "the probe ended without a result"};
}

}  // namespace executor
