// Command lines as Mesos' agent writes them: --name=value, and --name or --no-name for switches.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "log.hpp"

namespace executor {

struct Flag {
  const char* name;
  bool isSwitch;  // --name and --no-name are allowed, too
  bool required;
  const char* help;
  std::function<void(const std::string& value)> set;  // throws std::invalid_argument with a message for people
};

// Values that flags have in common. Each throws std::invalid_argument that says what is allowed.
bool parseSwitch(const std::string& value);
std::string absolutePath(const std::string& value);

// What every program of Mesos logs by.
std::vector<Flag> logFlags(LogSettings& log);

// A program's command line: reads it into its flags, and answers --help and --version.
class CommandLine {
 public:
  // `purpose`: one sentence for --help.
  CommandLine(std::string program, std::string purpose, std::vector<Flag> flags);

  // Whether there is work to do; false when --help or --version was answered. Throws std::invalid_argument; unknown
  // flags are errors, as in Mesos.
  bool read(int argc, char** argv);

  std::string usage() const;

  // A whole program: reads the line, does `work` and returns the exit code; what goes wrong is said on stderr.
  int run(int argc, char** argv, const std::function<void()>& work);

 private:
  const Flag* find(const std::string& name) const;
  std::string apply(const std::string& argument) const;

  const std::string program_;
  const std::string purpose_;
  std::vector<Flag> flags_;
  bool help_ = false;
  bool version_ = false;
};

}  // namespace executor
