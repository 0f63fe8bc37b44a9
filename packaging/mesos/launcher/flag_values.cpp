#include "flag_values.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>

#include "diagnostics.hpp"

namespace {

constexpr const char* MESOS_VERSION = "1.11.0";

std::string programName(const char* path)
{
  const char* slash = std::strrchr(path, '/');
  return slash ? slash + 1 : path;
}

std::string demangled(const std::type_info& type)
{
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : type.name();
}

// Mesos skips such words silently, and with them what an operator meant by "--name value".
void refuseOtherWords(int argc, const char* const* argv)
{
  for (int i = 1; i < argc; i++)
    if (std::strncmp(argv[i], "--", 2) != 0 || argv[i][2] == '\0')
      fail(
          "Unexpected argument '" + std::string(argv[i]) + "': flags are written --name=value, --name or --no-name\n\n"
          "See `" + programName(argv[0]) + " --help` for a list of supported flags.");
}

}

flags::Warnings FlagValues::load(int argc, const char* const* argv)
{
  for (const auto& [name, flag] : base.table()) defaults[name] = text(name);
  Try<flags::Warnings> loaded = base.load(std::string("MESOS_"), argc, argv, false, false);

  if (base.help) {
    std::cout << base.usage(Option<std::string>()) << std::endl;
    std::exit(EXIT_SUCCESS);
  }
  if (argc == 2) answerVersion();
  if (loaded.isError())
    fail(loaded.error() + "\n\nSee `" + programName(argv[0]) + " --help` for a list of supported flags.");
  refuseOtherWords(argc, argv);
  return loaded.get();
}

void FlagValues::answerVersion() const
{
  if (!at<bool>("version")) return;
  std::cout << "mesos " << MESOS_VERSION << std::endl;
  std::exit(EXIT_SUCCESS);
}

bool FlagValues::isSet(const std::string& name) const
{
  return flag(name).loaded_name.isSome();
}

bool FlagValues::isChanged(const std::string& name) const
{
  return text(name) != defaults.at(name);
}

std::string FlagValues::text(const std::string& name) const
{
  Option<std::string> text = flag(name).stringify(base);
  return text.isSome() ? text.get() : "";
}

// A flag's `load` is a closure over nothing but the pointer to the member that it stores into, and std::function keeps
// so small a closure within itself. Its type's name says the member's type: "...add<...>(T mesos::...::Flags::*, ...".
void* FlagValues::member(const std::string& name, const std::type_info& type) const
{
  const auto& load = flag(name).load;
  if (demangled(load.target_type()).find("(" + demangled(type) + " mesos::internal::") == std::string::npos)
    fail("Internal error: flag '" + name + "' is no " + demangled(type) + " but " + demangled(load.target_type()));
  ptrdiff_t offset;
  std::memcpy(&offset, &load, sizeof offset);
  return static_cast<char*>(object) + offset;
}

const flags::Flag& FlagValues::flag(const std::string& name) const
{
  auto found = base.table().find(name);
  if (found == base.table().end()) fail("Internal error: libmesos has no flag '" + name + "'");
  return found->second;
}
