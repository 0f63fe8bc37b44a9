// Mesos' loader of modules: libraries with implementations of Mesos' interfaces.
#pragma once

#include <string>

#include "abi/http.hpp"
#include "abi/mesos.hpp"

namespace mesos {

class Parameters : public Message {
public:
  Parameters(const Parameters&);
  ~Parameters();
};

namespace modules {

class Anonymous;

struct ModuleBase {
  const char* moduleApiVersion;
  const char* mesosVersion;
  const char* kind;
  const char* authorName;
  const char* authorEmail;
  const char* description;
  bool (*compatible)();
};

class ModuleManager {
public:
  static Try<Nothing> load(const std::string& folder);
  static Try<Nothing> loadManifest(const Modules& modules);

  template <typename T>
  static Try<T*> create(const std::string& name, const Option<Parameters>& parameters);

  static hashmap<std::string, ModuleBase*> moduleBases;
};

}

}
