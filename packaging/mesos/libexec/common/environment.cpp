#include "environment.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "output_limits.hpp"

namespace executor {
namespace {

std::optional<std::string> variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string required(const std::string& name) {
  const auto value = variable(name);
  if (!value || value->empty()) {
    throw std::invalid_argument("the environment has no " + name + ": this program is started by a Mesos agent");
  }
  return *value;
}

Duration durationVariable(const std::string& name, Duration fallback) {
  const auto value = variable(name);
  if (!value) return fallback;
  try {
    return parseDuration(*value);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(name + ": " + error.what());
  }
}

// Takes a secret out of the environment: the process list and children must not show it.
std::string takeSecret(const std::string& name) {
  char* value = std::getenv(name.c_str());
  if (value == nullptr) return "";
  const std::string secret = value;
  explicit_bzero(value, secret.size());
  unsetenv(name.c_str());
  return secret;
}

std::map<std::string, std::string> variablesWith(const std::string& prefix) {
  std::map<std::string, std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string::npos || text.compare(0, prefix.size(), prefix) != 0) continue;
    found[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return found;
}

// LIBPROCESS_SSL_<name>, or the older SSL_<name>.
std::optional<std::string> tlsVariable(const std::string& name) {
  auto value = variable("LIBPROCESS_SSL_" + name);
  return value ? value : variable("SSL_" + name);
}

bool tlsSwitch(const std::string& name, bool fallback) {
  const auto value = tlsVariable(name);
  if (!value) return fallback;
  if (*value == "true" || *value == "1") return true;
  if (*value == "false" || *value == "0") return false;
  throw std::invalid_argument("LIBPROCESS_SSL_" + name + " is '" + *value + "': must be true, false, 1 or 0");
}

// libcurl takes a range of TLS versions; libprocess has a switch for each.
long tlsVersions() {
  struct Version {
    const char* name;
    bool enabled;
    long lowest;
    long highest;
  };
  const Version versions[] = {
      {"ENABLE_TLS_V1_0", false, CURL_SSLVERSION_TLSv1_0, CURL_SSLVERSION_MAX_TLSv1_0},
      {"ENABLE_TLS_V1_1", false, CURL_SSLVERSION_TLSv1_1, CURL_SSLVERSION_MAX_TLSv1_1},
      {"ENABLE_TLS_V1_2", true, CURL_SSLVERSION_TLSv1_2, CURL_SSLVERSION_MAX_TLSv1_2},
      {"ENABLE_TLS_V1_3", false, CURL_SSLVERSION_TLSv1_3, CURL_SSLVERSION_MAX_TLSv1_3},
  };
  long lowest = 0;
  long highest = 0;
  for (const Version& version : versions) {
    if (!tlsSwitch(version.name, version.enabled)) continue;
    if (lowest == 0) lowest = version.lowest;
    highest = version.highest;
  }
  if (lowest == 0) throw std::invalid_argument("LIBPROCESS_SSL_ENABLE_TLS_*: every TLS version is switched off");
  return lowest | highest;
}

std::string hostOf(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return host;
}

std::string reverseLookup(const std::string& ip) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  char name[NI_MAXHOST];
  if (inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) != 1 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&v4), sizeof v4, name, sizeof name, nullptr, 0, NI_NAMEREQD) != 0) {
    return "";
  }
  return name;
}

void readTls(Environment& environment) {
  TlsSettings& tls = environment.tls;
  tls.keyFile = tlsVariable("KEY_FILE").value_or("");
  tls.certFile = tlsVariable("CERT_FILE").value_or("");
  if (tls.keyFile.empty()) throw std::invalid_argument("TLS is on: LIBPROCESS_SSL_KEY_FILE must name the key's file");
  if (tls.certFile.empty()) {
    throw std::invalid_argument("TLS is on: LIBPROCESS_SSL_CERT_FILE must name the certificate's file");
  }
  tls.caFile = tlsVariable("CA_FILE").value_or("");
  tls.caDirectory = tlsVariable("CA_DIR").value_or("");
  tls.ciphers = tlsVariable("CIPHERS").value_or("");
  tls.versions = tlsVersions();
  const bool requireClientCert = tlsSwitch("REQUIRE_CLIENT_CERT", false) || tlsSwitch("REQUIRE_CERT", false);
  tls.verifyPeer = requireClientCert || tlsSwitch("VERIFY_SERVER_CERT", false) || tlsSwitch("VERIFY_CERT", false);
  if (!tls.verifyPeer) return;

  // Which name must the certificate bear? The agent is known by its address only. libprocess' "legacy" scheme takes
  // the name that a reverse lookup gives, and with VERIFY_IPADD also the address; its "openssl" scheme the address.
  const std::string ip = hostOf(environment.agentAddress);
  const std::string scheme = tlsVariable("HOSTNAME_VALIDATION_SCHEME").value_or("legacy");
  if (scheme == "openssl") {
    environment.tlsServerNames = {ip};
  } else if (scheme == "legacy") {
    const bool byAddress = tlsSwitch("VERIFY_IPADD", false);
    if (byAddress) environment.tlsServerNames.push_back(ip);
    const std::string name = reverseLookup(ip);
    if (!name.empty()) environment.tlsServerNames.push_back(name);
    if (environment.tlsServerNames.empty() && requireClientCert) environment.tlsServerNames.push_back(ip);
  } else {
    throw std::invalid_argument("LIBPROCESS_SSL_HOSTNAME_VALIDATION_SCHEME is '" + scheme +
                                "': must be legacy or openssl");
  }
}

}  // namespace

Environment readEnvironment() {
  Environment environment;
  environment.agentAddress = required("MESOS_AGENT_ENDPOINT");
  // "slave(1)@ip:port": over TCP the actor's name may be left out, over the agent's unix socket it must not.
  const std::string pid = variable("MESOS_SLAVE_PID").value_or("");
  const std::string actor = pid.substr(0, pid.find('@'));
  environment.agentPath = (actor.empty() ? "" : "/" + actor) + "/api/v1";
  environment.access.domainSocket = variable("MESOS_DOMAIN_SOCKET").value_or("");
  environment.frameworkId = required("MESOS_FRAMEWORK_ID");
  environment.executorId = required("MESOS_EXECUTOR_ID");
  environment.sandbox = required("MESOS_DIRECTORY");
  environment.access.token = takeSecret("MESOS_EXECUTOR_AUTHENTICATION_TOKEN");
  const std::string checkpoint = variable("MESOS_CHECKPOINT").value_or("0");
  environment.checkpoint = checkpoint == "1" || checkpoint == "true";
  if (environment.checkpoint) {
    required("MESOS_RECOVERY_TIMEOUT");
    environment.recoveryTimeout = durationVariable("MESOS_RECOVERY_TIMEOUT", {});
    environment.longestBackoff = durationVariable("MESOS_SUBSCRIPTION_BACKOFF_MAX", environment.longestBackoff);
  }
  environment.shutdownGracePeriod =
      durationVariable("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", environment.shutdownGracePeriod);
  environment.containerLogger = variablesWith(kContainerLoggerPrefix);
  environment.tlsEnabled = tlsSwitch("ENABLED", false);
  if (environment.tlsEnabled) readTls(environment);
  return environment;
}

}  // namespace executor
