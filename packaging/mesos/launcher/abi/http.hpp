// libprocess' HTTP server: what a rule of its firewall, and who authorizes a request, must know of a request.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "abi/process.hpp"

template <typename Key, typename Value, typename Hash = std::hash<Key>, typename Equal = std::equal_to<Key>>
class hashmap : public std::unordered_map<Key, Value, Hash, Equal> {};

namespace net {
class IP {
  int family;
  char address[16];
};
}

namespace process {

namespace http {

struct URL {
  Option<std::string> scheme;
  Option<std::string> domain;
  Option<net::IP> ip;
  Option<uint16_t> port;
  std::string path;
};

// The beginning of Mesos' structure; requests are only made by libprocess.
struct Request {
  std::string method;
  URL url;
};

// An answer with a text body; libprocess adds the headers.
struct Response {
  struct Hash {
    size_t operator()(const std::string& name) const { return std::hash<std::string>()(name); }
  };

  std::string status;
  std::unordered_map<std::string, std::string, Hash> headers;  // must stay empty: Mesos has a hash of its own
  enum { NONE, BODY, PATH, PIPE } type;
  std::string body;
  std::string path;
  Option<std::shared_ptr<void>> reader;
  uint16_t code;
};

namespace authentication {
struct Principal;
}

namespace authorization {

using AuthorizationCallbacks =
    hashmap<std::string, std::function<Future<bool>(Request, Option<authentication::Principal>)>>;

void setCallbacks(const AuthorizationCallbacks& callbacks);

}

}

namespace firewall {

class FirewallRule {
public:
  virtual ~FirewallRule() {}

  // None lets the request pass.
  virtual Option<http::Response> apply(const network::inet::Socket& socket, const http::Request& request) = 0;
};

void install(std::vector<Owned<FirewallRule>>&& rules);

}

}

namespace mesos {

class Authorizer;

namespace authorization {
process::http::authorization::AuthorizationCallbacks createAuthorizationCallbacks(Authorizer* authorizer);
}

}
