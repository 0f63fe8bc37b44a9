#include "flag_parser.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

namespace executor {
namespace {

LogLevel parseLevel(const std::string& value) {
  if (value == "INFO") return LogLevel::Info;
  if (value == "WARNING") return LogLevel::Warning;
  if (value == "ERROR") return LogLevel::Error;
  throw std::invalid_argument("'" + value + "' must be INFO, WARNING or ERROR");
}

void noEffect(const std::string&) {}

}  // namespace

bool parseSwitch(const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  throw std::invalid_argument("'" + value + "' must be true or false");
}

std::string absolutePath(const std::string& value) {
  if (value.empty() || value.front() != '/') throw std::invalid_argument("'" + value + "' must be an absolute path");
  return value;
}

std::vector<Flag> logFlags(LogSettings& log) {
  using S = const std::string&;
  return {
      {"quiet", true, false, "Log nothing to stderr.", [&log](S v) { log.quiet = parseSwitch(v); }},
      {"logging_level", false, false, "Log from this level on: INFO, WARNING or ERROR.",
       [&log](S v) { log.level = parseLevel(v); }},
      {"log_dir", false, false, "Log to a file with the program's name in this folder as well.",
       [&log](S v) { log.directory = absolutePath(v); }},
      {"logbufsecs", false, false, "No effect: nothing is buffered.", noEffect},
      {"initialize_driver_logging", true, false, "No effect: there is no driver.", noEffect},
      {"external_log_file", false, false, "No effect here.", noEffect},
  };
}

CommandLine::CommandLine(std::string program, std::string purpose, std::vector<Flag> flags)
    : program_(std::move(program)), purpose_(std::move(purpose)), flags_(std::move(flags)) {
  using S = const std::string&;
  flags_.push_back({"help", true, false, "Print this and exit.", [this](S v) { help_ = parseSwitch(v); }});
  flags_.push_back({"version", true, false, "Print the version and exit.", [this](S v) { version_ = parseSwitch(v); }});
}

const Flag* CommandLine::find(const std::string& name) const {
  const auto found = std::find_if(flags_.begin(), flags_.end(), [&name](const Flag& flag) { return name == flag.name; });
  return found == flags_.end() ? nullptr : &*found;
}

std::string CommandLine::apply(const std::string& argument) const {
  if (argument.compare(0, 2, "--") != 0) throw std::invalid_argument("unexpected argument '" + argument + "'");
  const size_t equals = argument.find('=');
  const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
  std::optional<std::string> value;
  if (equals != std::string::npos) value = argument.substr(equals + 1);
  const Flag* flag = find(name);
  if (flag == nullptr && !value && name.compare(0, 3, "no-") == 0) {
    flag = find(name.substr(3));
    if (flag != nullptr && flag->isSwitch) value = "false";
  }
  if (flag == nullptr) throw std::invalid_argument("unknown flag '--" + name + "'");
  if (!value && flag->isSwitch) value = "true";
  if (!value) throw std::invalid_argument("flag '--" + name + "' needs a value");
  try {
    flag->set(*value);
  } catch (const std::exception& error) {
    throw std::invalid_argument("flag '--" + name + "': " + error.what());
  }
  return flag->name;
}

bool CommandLine::read(int argc, char** argv) {
  std::set<std::string> seen;
  for (int i = 1; i < argc; ++i) seen.insert(apply(argv[i]));
  if (help_) std::cout << usage();
  else if (version_) std::cout << program_ << " " MESOS_VERSION "\n";
  if (help_ || version_) return false;
  for (const Flag& flag : flags_) {
    if (flag.required && seen.count(flag.name) == 0) {
      throw std::invalid_argument(std::string("missing required flag '--") + flag.name + "'");
    }
  }
  return true;
}

std::string CommandLine::usage() const {
  std::ostringstream text;
  text << "Usage: " << program_ << " [options]\n\n"
       << purpose_ << " Started by a Mesos agent, which also sets MESOS_* variables.\n\n";
  for (const Flag& flag : flags_) {
    std::string left = std::string("  --") + (flag.isSwitch ? "[no-]" : "") + flag.name + (flag.isSwitch ? "" : "=VALUE");
    left.resize(std::max<size_t>(left.size() + 2, 38), ' ');
    text << left << flag.help << (flag.required ? " Required." : "") << "\n";
  }
  return text.str();
}

int CommandLine::run(int argc, char** argv, const std::function<void()>& work) {
  try {
    if (!read(argc, argv)) return EXIT_SUCCESS;
  } catch (const std::invalid_argument& error) {
    std::cerr << argv[0] << ": " << error.what() << "\n\n" << usage();
    return EXIT_FAILURE;
  }
  try {
    work();
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    logError(error.what());
    return EXIT_FAILURE;
  }
}

}  // namespace executor
