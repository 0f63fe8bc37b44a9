// mesos-default-executor: runs groups of tasks, each in a container of its own inside of the executor's. Started by
// mesos-agent's MesosContainerizer.
#include <curl/curl.h>

#include <memory>

#include "agent_calls.hpp"
#include "agent_connection.hpp"
#include "container_address.hpp"
#include "environment.hpp"
#include "event_loop.hpp"
#include "flag_parser.hpp"
#include "http.hpp"
#include "log.hpp"
#include "sandbox_file.hpp"
#include "task_groups.hpp"

namespace executor {
namespace {

std::vector<Flag> flags(LogSettings& log) {
  std::vector<Flag> flags{{"launcher_dir", false, false, "No effect: the agent starts all programs.",
                           [](const std::string& value) { absolutePath(value); }}};
  for (Flag& flag : logFlags(log)) flags.push_back(std::move(flag));
  return flags;
}

TaskSettings taskSettings(const Environment& environment) {
  TaskSettings settings;
  settings.executorKind = "default";
  settings.containerLogger = environment.containerLogger;
  settings.shutdownGracePeriod = environment.shutdownGracePeriod;
  settings.killGracePeriod = std::chrono::seconds(3);  // Mesos' own, whatever the shutdown's is
  return settings;
}

void run(const LogSettings& log) {
  configureLog(log);
  const Environment environment = readEnvironment();
  SandboxFiles& files = logThroughSandbox(environment.sandbox);

  curl_global_init(CURL_GLOBAL_ALL);
  EventLoop loop;
  HttpClient http(loop);
  std::unique_ptr<TaskGroups> groups;
  AgentConnection agent(loop, http, environment,
                        {[&](const Json& event) { groups->handle(event); },
                         [&](const std::string& reason) { groups->agentLost(reason); }});
  AgentCalls calls(loop, http, agent);
  groups = std::make_unique<TaskGroups>(loop, agent, calls, files, taskSettings(environment), containerAddress(),
                                        [&] { loop.stop(); });
  loop.onTerminate([&] { groups->terminate(); });
  agent.connect();
  loop.run();
}

}  // namespace
}  // namespace executor

int main(int argc, char** argv) {
  executor::LogSettings log;
  executor::CommandLine line("mesos-default-executor", "Runs groups of tasks (pods).", executor::flags(log));
  return line.run(argc, argv, [&] { executor::run(log); });
}
