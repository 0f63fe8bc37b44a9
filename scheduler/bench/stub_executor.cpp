// Two programs in one, for real_cluster.py: as mesos-docker-executor it says RUNNING of its task at once and starts
// nothing; as mesos-docker-client it describes an image and a container that don't exist. So the benchmark measures
// what master, agents and schedulers do, and not Docker.
//
// The executor speaks Mesos' v1 executor API (docs/executor-http-api.md) as far as one task needs it.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string variable(const char* name)
{
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int connected(const std::string& endpoint)
{
  const size_t colon = endpoint.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(endpoint.substr(colon + 1))));
  inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) std::exit(1);
  return fd;
}

void post(int fd, const std::string& endpoint, const std::string& path, const std::string& body)
{
  const std::string request = "POST " + path + " HTTP/1.1\r\nHost: " + endpoint +
      "\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  if (write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size())) std::exit(1);
}

// UUIDs in base64: they need to differ among the updates of one task only.
const char* const kRunning = "AAAAAAAAQACAAAAAAAAAAA==";
const char* const kKilled = "AAAAAAAAQACAAAAAAAAAAQ==";

int execute()
{
  const std::string endpoint = variable("MESOS_AGENT_ENDPOINT");
  const std::string pid = variable("MESOS_SLAVE_PID");  // slave(1)@127.0.0.1:5051
  const std::string path = "/" + pid.substr(0, pid.find('@')) + "/api/v1/executor";
  const std::string task = variable("MESOS_EXECUTOR_ID");  // a command task's executor has the id of its task
  const std::string sender = R"("framework_id":{"value":")" + variable("MESOS_FRAMEWORK_ID") +
      R"("},"executor_id":{"value":")" + task + "\"}";
  const int calls = connected(endpoint);
  const auto update = [&](const char* state, const char* uuid) {
    post(calls, endpoint, path,
         R"({"type":"UPDATE",)" + sender + R"(,"update":{"status":{"task_id":{"value":")" + task +
             R"("},"source":"SOURCE_EXECUTOR","state":")" + state + R"(","uuid":")" + uuid + "\"}}}");
  };

  const int events = connected(endpoint);
  post(events, endpoint, path, R"({"type":"SUBSCRIBE",)" + sender + R"(,"subscribe":{}})");
  std::string heard;
  bool running = false;
  char buffer[65536];
  for (;;) {
    const ssize_t count = read(events, buffer, sizeof(buffer));
    if (count <= 0) return 0;
    heard.append(buffer, static_cast<size_t>(count));
    if (!running && heard.find(R"("type":"LAUNCH")") != std::string::npos) {
      running = true;
      update("TASK_RUNNING", kRunning);
    }
    if (heard.find(R"("type":"KILL")") != std::string::npos) {
      update("TASK_KILLED", kKilled);
      sleep(1);
      return 0;
    }
    if (heard.find(R"("type":"SHUTDOWN")") != std::string::npos) return 0;
    if (running && heard.size() > 64) heard.erase(0, heard.size() - 64);
  }
}

// Called as: mesos-docker-client -H SOCKET COMMAND... (or --version).
int answer(int count, char** words)
{
  const std::string command = count > 3 ? words[3] : "";
  if (command == "--version") std::puts("Docker version 26.1.5, build stub");
  if (command == "ps") std::puts("CONTAINER ID");
  if (command == "inspect" && std::strncmp(words[4], "--type=container", 16) == 0) {
    std::printf(
        R"([{"Id":"stub","Name":"/%s","State":{"Pid":0,"StartedAt":"2026-01-01T00:00:00Z"},)"
        R"("HostConfig":{"NetworkMode":"host"},"NetworkSettings":{"IPAddress":""}}])",
        words[count - 1]);
  } else if (command == "inspect") {
    std::puts(R"([{"ContainerConfig":{"Entrypoint":null,"Env":null}}])");
  }
  return 0;
}

}  // namespace

int main(int count, char** words)
{
  return std::strstr(words[0], "docker-client") != nullptr ? answer(count, words) : execute();
}
