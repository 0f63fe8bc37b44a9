// Mesos' flags: the base class with its table of flags, and the structures that the table consists of.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "abi/stout.hpp"

namespace flags {

class FlagsBase;

struct Name {
  std::string value;
  bool deprecated;
};

struct Warning {
  std::string message;
};

struct Warnings {
  std::vector<Warning> warnings;
};

struct Flag {
  Name name;
  Option<Name> alias;
  Option<Name> loaded_name;  // the name by which the operator set the flag, if he did
  std::string help;
  bool boolean;
  std::function<Try<Nothing>(FlagsBase*, const std::string&)> load;
  std::function<Option<std::string>(const FlagsBase&)> stringify;
  std::function<Option<Error>(const FlagsBase&)> validate;
  bool required;
};

class FlagsBase {
public:
  virtual ~FlagsBase();

  // From the command line and from environment variables that begin with `prefix`.
  Try<Warnings> load(
      const Option<std::string>& prefix, int argc, const char* const* argv, bool unknowns, bool duplicates);

  Try<Warnings> load(
      const std::map<std::string, std::string>& values, bool unknowns, const Option<std::string>& prefix);

  std::string usage(const Option<std::string>& message) const;

  bool help;

  const std::map<std::string, Flag>& table() const { return flags_; }

private:
  std::string programName_;
  Option<std::string> usageMessage_;
  std::map<std::string, Flag> flags_;
  std::map<std::string, std::string> aliases;
};

// A flag's value that is secret or a file's: `value` is the text, or the file's contents.
struct SecurePathOrValue {
  Option<Path> path;
  std::string value;
};

}
