#include "container_address.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdlib>

namespace executor {
namespace {

std::string addressOf(const char* name) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  addrinfo* found = nullptr;
  char text[INET_ADDRSTRLEN] = "127.0.0.1";
  if (getaddrinfo(name, nullptr, &hints, &found) == 0) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr, text, sizeof text);
    freeaddrinfo(found);
  }
  return text;
}

}  // namespace

std::string containerAddress() {
  const char* const given = std::getenv("LIBPROCESS_IP");
  // In a network of its own the container is told to listen on any address.
  if (given != nullptr && std::string(given) != "0.0.0.0") return given;
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return addressOf(name);
}

}  // namespace executor
