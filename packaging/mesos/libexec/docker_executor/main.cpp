// mesos-docker-executor: runs one Docker container as a Mesos task. Started by mesos-agent's DockerContainerizer.
#include <curl/curl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "agent_connection.hpp"
#include "docker_flags.hpp"
#include "docker_task.hpp"
#include "engine.hpp"
#include "environment.hpp"
#include "event_loop.hpp"
#include "guard.hpp"
#include "http.hpp"
#include "log.hpp"
#include "recovery_endpoint.hpp"
#include "sandbox_file.hpp"

namespace executor {
namespace {

uint64_t totalMemory() {
  struct sysinfo info {};
  return sysinfo(&info) == 0 ? uint64_t{info.totalram} * info.mem_unit : 0;
}

DockerSettings dockerSettings(const DockerFlags& flags, const Environment& environment) {
  DockerSettings settings;
  settings.program = flags.docker;
  settings.socket = flags.dockerSocket;
  settings.create.containerName = flags.container;
  settings.create.sandboxDirectory = flags.sandboxDirectory;
  settings.create.mappedDirectory = flags.mappedDirectory;
  settings.create.frameworkId = environment.frameworkId;
  settings.create.executorId = environment.executorId;
  settings.create.taskEnvironment = flags.taskEnvironment;
  settings.create.defaultContainerDns = flags.defaultContainerDns;
  settings.create.cgroupsEnableCfs = flags.cgroupsEnableCfs;
  settings.create.totalMemory = totalMemory();
  return settings;
}

TaskSettings taskSettings(const DockerFlags& flags, const Environment& environment) {
  TaskSettings settings;
  settings.executorKind = "docker";
  settings.containerLogger = environment.containerLogger;
  settings.fetch = FetchSettings{flags.launcherDirectory, environment.sandbox};
  settings.shutdownGracePeriod = environment.shutdownGracePeriod;
  // The agent's old --docker_stop_timeout counts when it is the longer one.
  settings.killGracePeriod = std::max(environment.shutdownGracePeriod, flags.stopTimeout);
  return settings;
}

void run(const DockerFlags& flags, char* argumentArea, size_t argumentLength) {
  configureLog(flags.log);
  const Environment environment = readEnvironment();
  SandboxFiles& files = logThroughSandbox(environment.sandbox);

  // Before anything that takes memory: the guard shares what is there now.
  Guard guard(flags.dockerSocket, flags.container, files.err, argumentArea, argumentLength);

  curl_global_init(CURL_GLOBAL_ALL);
  EventLoop loop;
  guard.attach(loop);
  HttpClient http(loop);
  Engine engine(http, flags.dockerSocket);
  engine.negotiate();

  std::unique_ptr<DockerTask> task;
  AgentConnection agent(loop, http, environment,
                        {[&](const Json& event) { task->handle(event); },
                         [&](const std::string& reason) { task->agentLost(reason); }});
  task = std::make_unique<DockerTask>(loop, engine, agent, guard, files, dockerSettings(flags, environment),
                                      taskSettings(flags, environment), [&] { loop.stop(); });
  loop.onTerminate([&] { task->terminate(); });

  std::unique_ptr<RecoveryEndpoint> recovery;
  if (environment.checkpoint) {
    recovery = std::make_unique<RecoveryEndpoint>(loop, environment.sandbox, [&] { agent.wake(); });
  }
  agent.connect();
  loop.run();
}

}  // namespace
}  // namespace executor

int main(int argc, char** argv) {
  executor::DockerFlags flags;
  executor::CommandLine line("mesos-docker-executor", "Runs one Docker container as a Mesos task.",
                             executor::dockerFlags(flags));
  const auto argumentLength = static_cast<size_t>(argv[argc - 1] + std::strlen(argv[argc - 1]) - argv[0]);
  return line.run(argc, argv, [&] { executor::run(flags, argv[0], argumentLength); });
}
