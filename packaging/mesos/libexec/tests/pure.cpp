// Lets the tests, which are Python, call the executor's pure parts: one JSON request a line in, one answer a line out.
#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "agent_session.hpp"
#include "base64.hpp"
#include "check_results.hpp"
#include "check_spec.hpp"
#include "docker_arguments.hpp"
#include "duration.hpp"
#include "json.hpp"
#include "nested_container.hpp"
#include "network_info.hpp"
#include "output_limits.hpp"
#include "process_tree.hpp"
#include "recordio.hpp"
#include "recovery_endpoint.hpp"
#include "sandbox_file.hpp"
#include "secrets.hpp"

using namespace executor;

namespace {

Json arguments(const Json& request) {
  const Json given = request.value("context", Json::object());
  CreateContext context;
  context.containerName = given.value("containerName", "mesos-1");
  context.sandboxDirectory = given.value("sandboxDirectory", "/agent/sandbox");
  context.mappedDirectory = given.value("mappedDirectory", "/mnt/mesos/sandbox");
  context.frameworkId = given.value("frameworkId", "f");
  context.executorId = given.value("executorId", "e");
  context.taskEnvironment = given.value("taskEnvironment", std::map<std::string, std::string>());
  context.defaultContainerDns = given.value("defaultContainerDns", Json());
  context.cgroupsEnableCfs = given.value("cgroupsEnableCfs", false);
  context.totalMemory = given.value("totalMemory", uint64_t{0});
  const Json& task = request.at("task");
  const CreateArguments result = createArguments(task, secretsOf(task, taskData(task)), context);
  return {{"arguments", result.arguments}, {"environment", result.environment}, {"notes", result.notes}};
}

Json descendants(const Json& request) {
  const auto root = request.at("root").get<pid_t>();
  return request.at("all").get<bool>() ? descendantsAmongAll(root) : descendantsOf(root);
}

Json records(const Json& request) {
  RecordDecoder decoder;
  Json found = Json::array();
  for (const Json& chunk : request.at("chunks")) {
    for (const std::string& record : decoder.feed(chunk.get<std::string>())) found.push_back(record);
  }
  return found;
}

// Runs a session through `steps`, each [method, argument], and returns what each gave.
Json session(const Json& request) {
  AgentSession agent("framework", "executor", std::chrono::milliseconds(250));
  Json results = Json::array();
  for (const Json& step : request.at("steps")) {
    const auto method = step.at(0).get<std::string>();
    const Json argument = step.size() > 1 ? step.at(1) : Json();
    Json result;
    if (method == "subscribeCall") result = Json::parse(agent.subscribeCall());
    if (method == "event") {
      const std::string record = argument.is_string() ? argument.get<std::string>() : argument.dump();
      result = agent.streamData(std::to_string(record.size()) + "\n" + record);
    }
    if (method == "streamEnded") agent.streamEnded();
    if (method == "nextRetryDelay") result = agent.nextRetryDelay() / std::chrono::milliseconds(1);
    if (method == "addUpdate") result = agent.addUpdate(argument);
    if (method == "nextUpdateCall") {
      const auto call = agent.nextUpdateCall();
      if (call) result = Json::parse(*call);
    }
    if (method == "updateSent") agent.updateSent(argument.get<bool>());
    if (method == "acknowledged") result = agent.acknowledged(argument.get<std::string>());
    results.push_back(result);
  }
  return results;
}

// Judges results ([second, value or null] each) as the task's health check says.
Json health(const Json& request) {
  const auto spec = healthCheckOf(request.at("task"));
  const Clock::time_point start = Clock::now();
  HealthJudge judge(spec.value(), start);
  Json verdicts = Json::array();
  for (const Json& step : request.at("results")) {
    CheckResult result;
    if (!step.at(1).is_null()) result.value = step.at(1).get<int>();
    const auto verdict = judge.judge(result, start + std::chrono::seconds(step.at(0).get<int>()));
    verdicts.push_back(verdict ? Json{{"healthy", verdict->healthy}, {"kill", verdict->kill}} : Json());
  }
  return verdicts;
}

Json check(const Json& request) {
  const auto of = [&](bool health) -> std::optional<CheckSpec> {
    if (!health) return checkOf(request.at("task"));
    const auto spec = healthCheckOf(request.at("task"));
    return spec ? std::optional<CheckSpec>(spec->check) : std::nullopt;
  };
  const auto spec = of(request.value("health", false));
  if (!spec) return nullptr;
  CheckResult result;
  if (request.contains("result")) result.value = request.at("result").get<int>();
  return {{"program", spec->program},
          {"arguments", spec->arguments},
          {"environment", spec->environment},
          {"url", spec->url},
          {"port", spec->port},
          {"ipv6", spec->ipv6},
          {"delay", std::chrono::duration<double>(spec->delay).count()},
          {"interval", std::chrono::duration<double>(spec->interval).count()},
          {"timeout", std::chrono::duration<double>(spec->timeout).count()},
          {"status", checkStatus(spec->kind, result)}};
}

Json limits(const Json& request) {
  const OutputLimits found = outputLimits(request.at("variables").get<std::map<std::string, std::string>>());
  return {{"stdoutSize", found.maxStdoutSize}, {"stderrSize", found.maxStderrSize}, {"files", found.maxFiles}};
}

// A file that stays open from one request to the next.
struct OpenFile {
  explicit OpenFile(const std::string& path)
      : descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)), file(descriptor.get(), path) {
    file.onRotated([this] { ++rotations; });
    file.onProblem([this](const std::string& problem) { problems.push_back(problem); });
  }

  FileDescriptor descriptor;
  SandboxFile file;
  int rotations = 0;
  Json problems = Json::array();
};

Json sandboxFile(const Json& request) {
  static std::unique_ptr<OpenFile> open;
  const auto method = request.at("method").get<std::string>();
  if (method == "open") {
    open = std::make_unique<OpenFile>(request.at("path").get<std::string>());
    open->file.limit(request.at("maxSize").get<uint64_t>(), request.at("maxFiles").get<unsigned>());
  } else if (method == "write") {
    const auto text = request.at("text").get<std::string>();
    std::string_view left = text;
    for (ssize_t count = 0; !left.empty() && (count = open->file.write(left)) > 0;) left.remove_prefix(count);
  } else if (method == "log") {
    open->file.writeLine(request.at("text").get<std::string>());
  }
  return {{"rotations", open->rotations}, {"problems", open->problems}};
}

Json answer(const Json& request) {
  const auto call = request.at("call").get<std::string>();
  if (call == "arguments") return arguments(request);
  if (call == "records") return records(request);
  if (call == "session") return session(request);
  if (call == "health") return health(request);
  if (call == "check") return check(request);
  if (call == "duration") return parseDuration(request.at("text").get<std::string>()).count();
  if (call == "fromBase64") return fromBase64(request.at("text").get<std::string>());
  if (call == "withoutSecrets") return withoutSecrets(request.at("inspected"), request.at("secrets"));
  if (call == "base64") return base64(request.at("text").get<std::string>());
  if (call == "pidsFolder") return pidsFolderOf(request.at("sandbox").get<std::string>());
  if (call == "launchOf") return launchOf(request.at("task"), request.at("container"), request.at("address"));
  if (call == "descendants") return descendants(request);
  if (call == "killDescendants") return killDescendants(request.at("root").get<pid_t>()), Json();
  if (call == "outputLimits") return limits(request);
  if (call == "sandboxFile") return sandboxFile(request);
  if (call == "network") {
    const auto info = networkInfoOf(request.at("task"), request.at("inspected"));
    return info ? *info : Json();
  }
  throw std::invalid_argument("no such call: " + call);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    Json reply;
    try {
      reply["result"] = answer(Json::parse(line));
    } catch (const Json::exception& error) {
      std::cerr << error.what() << "\n";  // the test's own mistake
      return 1;
    } catch (const std::exception& error) {
      reply["error"] = error.what();
    }
    std::cout << reply.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
  }
}
