// What the agent's containerizers are made from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "abi/mesos.hpp"

namespace JSON {
class Object {
  void* members[16];

public:
  Object(const Object&);
  ~Object();
};
}

struct Version {
  uint32_t majorVersion;
  uint32_t minorVersion;
  uint32_t patchVersion;
  std::vector<std::string> prerelease;
  std::vector<std::string> build;
};

class Docker {
public:
  static Try<process::Owned<Docker>> create(
      const std::string& client, const std::string& socket, bool validate, const Option<JSON::Object>& config);

  // Asks the client for its version.
  Try<Nothing> validateVersion(const Version& minimum) const;
};

namespace process {

template <typename T>
class Shared {
public:
  explicit Shared(T* t);

private:
  std::shared_ptr<void> data;
};

}

namespace mesos {

namespace slave {

class Isolator;

class ContainerLogger {
public:
  static Try<ContainerLogger*> create(const Option<std::string>& module);
};

}

namespace internal::slave {

class NvidiaComponents {
public:
  NvidiaComponents(const NvidiaComponents&);
  ~NvidiaComponents();
};

class DockerContainerizer : public Containerizer {
public:
  DockerContainerizer(
      const Flags& flags, Fetcher* fetcher, const process::Owned<::mesos::slave::ContainerLogger>& logger,
      process::Shared<Docker> docker, const Option<NvidiaComponents>& nvidia);
  ~DockerContainerizer() override;

  process::Future<Nothing> recover(const Option<state::SlaveState>& state) override;
  process::Future<LaunchResult> launch(
      const ContainerID& container, const ::mesos::slave::ContainerConfig& config,
      const std::map<std::string, std::string>& environment, const Option<std::string>& pidCheckpointPath) override;
  process::Future<Nothing> update(
      const ContainerID& container, const Resources& requests,
      const google::protobuf::Map<std::string, Value_Scalar>& limits) override;
  process::Future<ResourceStatistics> usage(const ContainerID& container) override;
  process::Future<ContainerStatus> status(const ContainerID& container) override;
  process::Future<Option<::mesos::slave::ContainerTermination>> wait(const ContainerID& container) override;
  process::Future<Option<::mesos::slave::ContainerTermination>> destroy(const ContainerID& container) override;
  process::Future<hashset<ContainerID>> containers() override;
  process::Future<Nothing> pruneImages(const std::vector<Image>& excluded) override;

private:
  char members[1024];
};

class Launcher;
class Provisioner;

class MesosContainerizer : public Containerizer {
public:
  static Try<MesosContainerizer*> create(
      const Flags& flags, bool local, Fetcher* fetcher, GarbageCollector* gc,
      const process::Owned<Launcher>& launcher, const process::Shared<Provisioner>& provisioner,
      const std::vector<process::Owned<::mesos::slave::Isolator>>& isolators, VolumeGidManager* volumeGidManager);
};

class ComposingContainerizer : public Containerizer {
public:
  static Try<ComposingContainerizer*> create(const std::vector<Containerizer*>& containerizers);
};

}

}
