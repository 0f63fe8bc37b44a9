// Users of this host.
#pragma once

#include <pwd.h>

#include <stdexcept>
#include <string>

namespace executor {

// Valid until the next call. Throws std::runtime_error when there is no such user.
inline const passwd& userOf(const std::string& name) {
  const passwd* const user = getpwnam(name.c_str());
  if (user == nullptr) throw std::runtime_error("no such user on this host: '" + name + "'");
  return *user;
}

}  // namespace executor
