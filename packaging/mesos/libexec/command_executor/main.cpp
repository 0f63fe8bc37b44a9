// mesos-executor: runs one command as a Mesos task. Started by mesos-agent's MesosContainerizer.
#include <curl/curl.h>
#include <unistd.h>

#include <memory>

#include "agent_connection.hpp"
#include "command_task.hpp"
#include "environment.hpp"
#include "event_loop.hpp"
#include "flag_parser.hpp"
#include "http.hpp"
#include "log.hpp"
#include "sandbox_file.hpp"

namespace executor {
namespace {

TaskSettings taskSettings(const CommandFlags& flags, const Environment& environment) {
  TaskSettings settings;
  settings.executorKind = "command";
  settings.containerLogger = environment.containerLogger;
  settings.fetch = FetchSettings{flags.launcherDirectory, environment.sandbox};
  settings.shutdownGracePeriod = environment.shutdownGracePeriod;
  settings.killGracePeriod = std::chrono::seconds(3);  // Mesos' own, whatever the shutdown's is
  return settings;
}

void run(const CommandFlags& flags) {
  configureLog(flags.log);
  const Environment environment = readEnvironment();
  SandboxFiles& files = logThroughSandbox(environment.sandbox);

  curl_global_init(CURL_GLOBAL_ALL);
  EventLoop loop;
  HttpClient http(loop);
  std::unique_ptr<CommandTask> task;
  AgentConnection agent(loop, http, environment,
                        {[&](const Json& event) { task->handle(event); },
                         [&](const std::string& reason) { task->agentLost(reason); }});
  task = std::make_unique<CommandTask>(loop, agent, files, flags, taskSettings(flags, environment),
                                       [&] { loop.stop(); });
  loop.onTerminate([&] { task->terminate(); });
  agent.connect();
  loop.run();
}

}  // namespace
}  // namespace executor

int main(int argc, char** argv) {
  executor::CommandFlags flags;
  executor::CommandLine line("mesos-executor", "Runs one command as a Mesos task.", executor::commandFlags(flags));
  return line.run(argc, argv, [&] { executor::run(flags); });
}
