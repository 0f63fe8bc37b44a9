// The parts of Mesos that a master and an agent are put together from.
//
// Every class stands for one of libmesos. libmesos constructs it (the constructors are only declared here) and knows
// its members; here a class is room that is certainly large enough: `members` is at least twice the true size. Virtual
// bases are declared as they are, so that the compiler finds them through the object's own table.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "abi/flags.hpp"
#include "abi/process.hpp"
#include "abi/stout.hpp"

namespace zookeeper {

struct Authentication {
  const std::string scheme;
  const std::string credentials;
};

struct URL {
  static Try<URL> parse(const std::string& text);
  ~URL();

  const Option<Authentication> authentication;
  const std::string servers;
  const std::string path;
};

}

template <typename Value, typename Hash = std::hash<Value>, typename Equal = std::equal_to<Value>>
class hashset;

namespace google::protobuf {

template <typename Key, typename Value>
class Map;

class MessageLite {
public:
  std::string SerializeAsString() const;
  bool ParseFromString(const std::string& bytes);
};

}

namespace mesos {

// Messages of Mesos' protocol buffers are handed on by reference and, to be an option, copied by libmesos.
class Message : public google::protobuf::MessageLite {
  void* members[128];
};

class ACLs : public Message {
public:
  ACLs(const ACLs&);
  ~ACLs();
};

class MasterInfo : public Message {
public:
  MasterInfo(const MasterInfo&);
  ~MasterInfo();
};

class ContainerID : public Message {
public:
  ContainerID();
  ContainerID(const ContainerID&);
  ~ContainerID();
};

class ResourceStatistics : public Message {
public:
  ResourceStatistics();
  ResourceStatistics(const ResourceStatistics&);
  ~ResourceStatistics();
};

class ContainerStatus;
class Image;
class Resources;
class Value_Scalar;

class Modules : public Message {
public:
  Modules(const Modules&);
  ~Modules();
};

class Value : public Message {
public:
  Value(const Value&);
  ~Value();
};

class Authorizer {
public:
  static Try<Authorizer*> create(const ACLs& acls);
  static Try<Authorizer*> create(const std::string& module);
};

class SecretGenerator {};

namespace authentication::executor {

class JWTSecretGenerator : public SecretGenerator {
public:
  explicit JWTSecretGenerator(const std::string& secret);

private:
  char members[256];
};

}

class SecretResolver {
public:
  static Try<SecretResolver*> create(const Option<std::string>& module);
};

namespace allocator {
class Allocator {};
}

namespace log {

class Log {
public:
  Log(int quorum, const std::string& path, const std::set<process::UPID>& pids, bool autoInitialize,
      const Option<std::string>& metricsPrefix);
  Log(int quorum, const std::string& path, const std::string& servers, const Duration& timeout,
      const std::string& znode, const Option<zookeeper::Authentication>& authentication, bool autoInitialize,
      const Option<std::string>& metricsPrefix);

private:
  char members[1024];
};

}

namespace state {

class Storage {};

class InMemoryStorage : public Storage {
public:
  InMemoryStorage();

private:
  char members[1024];
};

class LogStorage : public Storage {
public:
  LogStorage(log::Log* log, size_t diffsBetweenSnapshots);

private:
  char members[1024];
};

// Mesos defines this class wholly in a header: it is one here, too.
class State {
public:
  explicit State(Storage* storage) : storage(storage) {}
  virtual ~State() {}

private:
  Storage* storage;
};

}

namespace master {

namespace contender {

class MasterContender {
public:
  static Try<MasterContender*> create(
      const Option<std::string>& zk, const Option<std::string>& module, const Option<Duration>& sessionTimeout);
  virtual ~MasterContender();
  virtual void initialize(const MasterInfo& info) = 0;
  virtual process::Future<process::Future<Nothing>> contend() = 0;
};

class StandaloneMasterContender : public MasterContender {
public:
  StandaloneMasterContender() : initialized(false), promise(nullptr) {}
  ~StandaloneMasterContender() override;
  void initialize(const MasterInfo& info) override;
  process::Future<process::Future<Nothing>> contend() override;

private:
  bool initialized;
  void* promise;
};

}

namespace detector {

class MasterDetector {
public:
  static Try<MasterDetector*> create(
      const Option<std::string>& zk, const Option<std::string>& module, const Option<Duration>& sessionTimeout);
};

class StandaloneMasterDetector : public MasterDetector {
public:
  StandaloneMasterDetector();
  void appoint(const Option<MasterInfo>& leader);

private:
  char members[256];
};

}

}

namespace slave {

class ContainerConfig;
class ContainerLogger;
class ContainerTermination;

class ResourceEstimator {
public:
  static Try<ResourceEstimator*> create(const Option<std::string>& module);
};

class QoSController {
public:
  static Try<QoSController*> create(const Option<std::string>& module);
};

}

namespace internal {

class PendingFutureTracker;

class Firewall : public Message {
public:
  Firewall(const Firewall&);
  ~Firewall();
};

namespace values {
Try<Value> parse(const std::string& text);
}

class HookManager {
public:
  static Try<Nothing> initialize(const std::string& names);
};

namespace logging {

class Flags : public virtual ::flags::FlagsBase {
public:
  Flags();
  ~Flags() override;

private:
  char members[1024];
};

void initialize(const std::string& program, bool handleSignals, const Option<Flags>& flags);

}

class Files {
public:
  Files(const Option<std::string>& realm, const Option<Authorizer*>& authorizer);

private:
  char members[1024];
};

class VersionProcess : public virtual process::ProcessBase {
public:
  VersionProcess();
  ~VersionProcess() override;

private:
  char members[4096];
};

namespace master {

class Flags : public virtual logging::Flags {
public:
  Flags();
  ~Flags() override;

private:
  char members[1 << 15];
};

namespace allocator {

class DRFSorter;

template <typename RoleSorter, typename FrameworkSorter>
class HierarchicalAllocatorProcess;

template <typename AllocatorProcess>
class MesosAllocator : public ::mesos::allocator::Allocator {
public:
  MesosAllocator();

private:
  char members[1024];
};

using HierarchicalDRFAllocator = MesosAllocator<HierarchicalAllocatorProcess<DRFSorter, DRFSorter>>;

}

class Registrar {
public:
  Registrar(const Flags& flags, state::State* state, const Option<std::string>& realm);

private:
  char members[1024];
};

class Master : public virtual process::ProcessBase {
public:
  Master(
      ::mesos::allocator::Allocator* allocator, Registrar* registrar, Files* files,
      ::mesos::master::contender::MasterContender* contender, ::mesos::master::detector::MasterDetector* detector,
      const Option<Authorizer*>& authorizer, const Option<std::shared_ptr<process::RateLimiter>>& agentRemovalLimiter,
      const Flags& flags);
  ~Master() override;

private:
  char members[1 << 18];
};

}

namespace slave {

namespace state {
struct SlaveState;
}

class CSIServer;

class Flags : public virtual logging::Flags {
public:
  Flags();
  ~Flags() override;

private:
  char members[1 << 15];
};

class VolumeGidManager {
public:
  static Try<VolumeGidManager*> create(const Flags& flags);
};

class Fetcher {
public:
  explicit Fetcher(const Flags& flags);

private:
  char members[1024];
};

class GarbageCollector {
public:
  explicit GarbageCollector(const std::string& workDirectory);

private:
  char members[1024];
};

class TaskStatusUpdateManager {
public:
  explicit TaskStatusUpdateManager(const Flags& flags);

private:
  char members[1024];
};

// The order of the virtual functions is that of Mesos', so that containerizers can also be derived here.
class Containerizer {
public:
  enum class LaunchResult;

  virtual ~Containerizer() {}
  virtual process::Future<Nothing> recover(const Option<state::SlaveState>& state) = 0;
  virtual process::Future<LaunchResult> launch(
      const ContainerID& container, const ::mesos::slave::ContainerConfig& config,
      const std::map<std::string, std::string>& environment, const Option<std::string>& pidCheckpointPath) = 0;
  virtual process::Future<process::http::Connection> attach(const ContainerID& container);
  virtual process::Future<Nothing> update(
      const ContainerID& container, const Resources& requests,
      const google::protobuf::Map<std::string, Value_Scalar>& limits) = 0;
  virtual process::Future<ResourceStatistics> usage(const ContainerID& container) = 0;
  virtual process::Future<ContainerStatus> status(const ContainerID& container);
  virtual process::Future<Option<::mesos::slave::ContainerTermination>> wait(const ContainerID& container) = 0;
  virtual process::Future<Option<::mesos::slave::ContainerTermination>> destroy(const ContainerID& container) = 0;
  virtual process::Future<bool> kill(const ContainerID& container, int signal);
  virtual process::Future<hashset<ContainerID>> containers() = 0;
  virtual process::Future<Nothing> remove(const ContainerID& container);
  virtual process::Future<Nothing> pruneImages(const std::vector<Image>& excluded) = 0;

  static Try<Containerizer*> create(
      const Flags& flags, bool local, Fetcher* fetcher, GarbageCollector* gc, SecretResolver* secretResolver,
      VolumeGidManager* volumeGidManager, PendingFutureTracker* futureTracker, CSIServer* csiServer);
};

class Slave : public virtual process::ProcessBase {
public:
  Slave(
      const std::string& id, const Flags& flags, ::mesos::master::detector::MasterDetector* detector,
      Containerizer* containerizer, Files* files, GarbageCollector* gc, TaskStatusUpdateManager* updates,
      ::mesos::slave::ResourceEstimator* resourceEstimator, ::mesos::slave::QoSController* qosController,
      SecretGenerator* secretGenerator, VolumeGidManager* volumeGidManager, PendingFutureTracker* futureTracker,
      process::Owned<CSIServer>&& csiServer, const Option<process::network::unix::Socket>& executorSocket,
      const Option<Authorizer*>& authorizer);
  ~Slave() override;

private:
  char members[1 << 18];
};

}

}

}
