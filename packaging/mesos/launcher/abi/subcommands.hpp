// What libmesos has of the program mesos-containerizer: its subcommands.
#pragma once

#include <string>

#include "abi/flags.hpp"

// Defined wholly in a header of Mesos; what libmesos reaches of it are its name and the flags behind it.
class Subcommand {
public:
  explicit Subcommand(const std::string& name) : name(name) {}
  virtual ~Subcommand() = default;
  virtual int execute() = 0;
  virtual flags::FlagsBase* getFlags() = 0;

  const std::string name;

private:
  flags::FlagsBase noFlags;
};

namespace mesos::internal::slave {

class MesosContainerizerLaunch : public Subcommand {
public:
  static const std::string NAME;

  class Flags : public virtual flags::FlagsBase {
  public:
    Flags();
    ~Flags() override;

  private:
    char members[2048];
  };

  MesosContainerizerLaunch() : Subcommand(NAME) {}
  ~MesosContainerizerLaunch() override;
  int execute() override;
  ::flags::FlagsBase* getFlags() override;

private:
  Flags flags;
};

class NetworkCniIsolatorSetup : public Subcommand {
public:
  static const char* NAME;
  NetworkCniIsolatorSetup();
  ~NetworkCniIsolatorSetup() override;
  int execute() override;
  ::flags::FlagsBase* getFlags() override;

private:
  char members[4096];
};

}
