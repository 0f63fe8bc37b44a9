// What a MesosContainerizer is put together from: its launcher, its provisioner and its isolators.
#pragma once

#include <unordered_set>

#include "abi/containerizers.hpp"

// Only walked through: the nodes' layout is the standard library's.
template <typename Value, typename Hash, typename Equal>
class hashset : public std::unordered_set<Value, Hash, Equal> {};

struct Bytes {
  uint64_t value;
};

namespace google::protobuf {

template <typename Key, typename Value>
class Map {
public:
  size_t count(const Key& key) const;
  const Value& at(const Key& key) const;
};

}

namespace mesos {

class Value_Scalar : public Message {};

// A vector with room for some elements in itself. It is handed over by value, and so has to be cleared away here.
class Resources {
public:
  Resources(const Resources&);
  ~Resources()
  {
    for (size_t i = 0; i < size; i++) first[i].~shared_ptr();
    const char* const begin = reinterpret_cast<const char*>(first);
    const char* const self = reinterpret_cast<const char*>(this);
    if (begin < self || begin >= self + sizeof *this) operator delete(first);
  }

  Option<double> cpus() const;
  Option<Bytes> mem() const;
  Resources revocable() const;

private:
  std::shared_ptr<void>* first;
  size_t size;
  size_t capacity;
  char room[512];
};

class ContainerStatus : public Message {
public:
  ContainerStatus();
  ContainerStatus(const ContainerStatus&);
  ~ContainerStatus();
};

namespace slave {

// The only message that comes in a vector: this is its true size.
class ContainerState : public google::protobuf::MessageLite {
  void* members[11];

public:
  ContainerState(const ContainerState&);
  ~ContainerState();
};

class ContainerConfig : public Message {};

class ContainerLaunchInfo : public Message {
public:
  ContainerLaunchInfo(const ContainerLaunchInfo&);
  ~ContainerLaunchInfo();
};

class ContainerLimitation : public Message {
public:
  ContainerLimitation();
  ContainerLimitation(const ContainerLimitation&);
  ~ContainerLimitation();
};

// The order of the virtual functions is that of Mesos', so that isolators can also be written here.
class Isolator {
public:
  virtual ~Isolator() {}
  virtual bool supportsNesting() = 0;
  virtual bool supportsStandalone() = 0;
  virtual process::Future<Nothing> recover(
      const std::vector<ContainerState>& states, const hashset<ContainerID>& orphans) = 0;
  virtual process::Future<Option<ContainerLaunchInfo>> prepare(
      const ContainerID& container, const ContainerConfig& config) = 0;
  virtual process::Future<Nothing> isolate(const ContainerID& container, pid_t pid) = 0;
  virtual process::Future<ContainerLimitation> watch(const ContainerID& container) = 0;
  virtual process::Future<Nothing> update(
      const ContainerID& container, const Resources& requests,
      const google::protobuf::Map<std::string, Value_Scalar>& limits) = 0;
  virtual process::Future<ResourceStatistics> usage(const ContainerID& container) = 0;
  virtual process::Future<ContainerStatus> status(const ContainerID& container) = 0;
  virtual process::Future<Nothing> cleanup(const ContainerID& container) = 0;
};

}

namespace internal {

namespace slave {

namespace containerizer::paths {
// "mesos" and a nested container: "mesos/PARENT/mesos/CONTAINER"
std::string getCgroupPath(const std::string& root, const ContainerID& container);
}

class Provisioner {
public:
  static Try<process::Owned<Provisioner>> create(const Flags& flags, SecretResolver* secretResolver);
};

// The factories of Mesos' own isolators.
using CreatedIsolator = Try<::mesos::slave::Isolator*>;

struct PosixFilesystemIsolatorProcess {
  static CreatedIsolator create(const Flags& flags, VolumeGidManager* manager);
};
struct LinuxFilesystemIsolatorProcess {
  static CreatedIsolator create(const Flags& flags, VolumeGidManager* manager);
};
struct VolumeSandboxPathIsolatorProcess {
  static CreatedIsolator create(const Flags& flags, VolumeGidManager* manager);
};
struct VolumeImageIsolatorProcess {
  static CreatedIsolator create(const Flags& flags, const process::Shared<Provisioner>& provisioner);
};
struct VolumeSecretIsolatorProcess {
  static CreatedIsolator create(const Flags& flags, SecretResolver* resolver);
};
struct EnvironmentSecretIsolatorProcess {
  static CreatedIsolator create(const Flags& flags, SecretResolver* resolver);
};
struct PosixCpuIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct PosixMemIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct PosixRLimitsIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct AppcRuntimeIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct DockerRuntimeIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct LinuxCapabilitiesIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct LinuxNNPIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct NamespacesIPCIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct NamespacesPidIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct DockerVolumeIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct VolumeHostPathIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct PosixDiskIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};
struct NetworkCniIsolatorProcess {
  static CreatedIsolator create(const Flags& flags);
};

class Launcher {};

class SubprocessLauncher {
public:
  static Try<Launcher*> create(const Flags& flags);
};

class LauncherTracker : public Launcher {
public:
  LauncherTracker(const process::Owned<Launcher>& launcher, PendingFutureTracker* tracker);

private:
  char members[256];
};

class IsolatorTracker : public ::mesos::slave::Isolator {
public:
  IsolatorTracker(
      const process::Owned<::mesos::slave::Isolator>& isolator, const std::string& name,
      PendingFutureTracker* tracker);
  ~IsolatorTracker() override;
  bool supportsNesting() override;
  bool supportsStandalone() override;
  process::Future<Nothing> recover(
      const std::vector<::mesos::slave::ContainerState>& states, const hashset<ContainerID>& orphans) override;
  process::Future<Option<::mesos::slave::ContainerLaunchInfo>> prepare(
      const ContainerID& container, const ::mesos::slave::ContainerConfig& config) override;
  process::Future<Nothing> isolate(const ContainerID& container, pid_t pid) override;
  process::Future<::mesos::slave::ContainerLimitation> watch(const ContainerID& container) override;
  process::Future<Nothing> update(
      const ContainerID& container, const Resources& requests,
      const google::protobuf::Map<std::string, Value_Scalar>& limits) override;
  process::Future<ResourceStatistics> usage(const ContainerID& container) override;
  process::Future<ContainerStatus> status(const ContainerID& container) override;
  process::Future<Nothing> cleanup(const ContainerID& container) override;

private:
  char members[256];
};

}

}

}
