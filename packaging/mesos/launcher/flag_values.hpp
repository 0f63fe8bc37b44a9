// The flags of a Mesos daemon: loaded and checked by Mesos itself, and readable by name.
#pragma once

#include <map>
#include <string>
#include <typeinfo>

#include "abi/flags.hpp"

class FlagValues {
public:
  // `object` is the Flags object that `base` is the base of.
  FlagValues(void* object, flags::FlagsBase& base) : object(object), base(base) {}

  // Loads the command line and the MESOS_ variables, as Mesos does. Prints and exits for --help and for --version alone,
  // prints and fails for what Mesos refuses, and for words that are no flags.
  flags::Warnings load(int argc, const char* const* argv);

  // Prints and exits for --version among other flags, which is the way to have those checked and no more.
  void answerVersion() const;

  // Whether the operator set this flag, on the command line or in the environment.
  bool isSet(const std::string& name) const;

  // Whether its value is another than its default.
  bool isChanged(const std::string& name) const;

  // The value that the object holds, as text; empty for an option without a value.
  std::string text(const std::string& name) const;

  // The member of the object that this flag is stored in. T must be the member's type: it is compared with the one
  // that libmesos was compiled with.
  template <typename T>
  T& at(const std::string& name) const
  {
    return *static_cast<T*>(member(name, typeid(T)));
  }

private:
  void* member(const std::string& name, const std::type_info& type) const;
  const flags::Flag& flag(const std::string& name) const;

  void* object;
  flags::FlagsBase& base;
  std::map<std::string, std::string> defaults;
};
