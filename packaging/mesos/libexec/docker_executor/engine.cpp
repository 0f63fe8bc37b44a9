#include "engine.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "log.hpp"

namespace executor {
namespace {

using std::chrono::milliseconds;

// Docker 20.10's version. Later engines drop old ones: Docker 29 starts at 1.44.
constexpr std::pair<int, int> kOldest{1, 41};

// Answers of an engine in good health take milliseconds; a busy disk can make it seconds.
constexpr milliseconds kAnswerTimeout{60000};
constexpr milliseconds kNoTimeout{0};

std::pair<int, int> parseVersion(const std::string& text) {
  const size_t dot = text.find('.');
  return {std::atoi(text.c_str()), dot == std::string::npos ? 0 : std::atoi(text.c_str() + dot + 1)};
}

std::string pathOf(std::pair<int, int> version) {
  return "/v" + std::to_string(version.first) + "." + std::to_string(version.second);
}

}  // namespace

Engine::Engine(HttpClient& http, std::string socketPath)
    : http_(http), socketPath_(std::move(socketPath)), version_(pathOf(kOldest)) {}

HttpRequest Engine::request(const char* method, const std::string& path, milliseconds timeout) const {
  HttpRequest request;
  request.method = method;
  request.url = "http://docker" + version_ + path;
  request.unixSocket = socketPath_;
  request.timeout = timeout;
  return request;
}

HttpRequest Engine::requestWith(std::string json, const std::string& path, milliseconds timeout) const {
  HttpRequest post = request("POST", path, timeout);
  post.headers.emplace_back("Content-Type: application/json");
  post.body = std::move(json);
  return post;
}

void Engine::negotiate() {
  HttpRequest version = request("GET", "", kAnswerTimeout);
  version.url = "http://docker/version";
  http_.send(std::move(version), [this](const HttpResponse& response) {
    try {
      if (!response.ok()) throw InvalidField(response.describe());
      const Json answer = parseJson(response.body, "the Docker Engine's version");
      const auto newest = parseVersion(textOr(answer, "ApiVersion", "", "version"));
      const auto oldest = parseVersion(textOr(answer, "MinAPIVersion", "", "version"));
      if (newest < kOldest) {
        logWarning("Docker Engine " + textOr(answer, "Version", "?", "version") +
                   " is older than 20.10: not everything may work");
        version_ = pathOf(newest);
      } else if (oldest > kOldest) {
        version_ = pathOf(oldest);
      }
    } catch (const InvalidField& error) {
      logWarning(std::string("The Docker Engine does not tell its version: ") + error.what());
    }
  });
}

void Engine::start(const std::string& container, Done done) {
  http_.send(request("POST", "/containers/" + container + "/start", kNoTimeout), std::move(done));
}

void Engine::inspect(const std::string& container, Done done) {
  http_.send(request("GET", "/containers/" + container + "/json", kAnswerTimeout), std::move(done));
}

void Engine::stop(const std::string& container, int64_t seconds, Done done) {
  http_.send(request("POST", "/containers/" + container + "/stop?t=" + std::to_string(seconds), kNoTimeout),
             std::move(done));
}

void Engine::kill(const std::string& container, Done done) {
  http_.send(request("POST", "/containers/" + container + "/kill", kAnswerTimeout), std::move(done));
}

void Engine::remove(const std::string& container, Done done) {
  http_.send(request("DELETE", "/containers/" + container + "?force=1&v=1", kAnswerTimeout), std::move(done));
}

void Engine::neverRestart(const std::string& container, Done done) {
  http_.send(requestWith(R"({"RestartPolicy":{"Name":"no"}})", "/containers/" + container + "/update", kAnswerTimeout),
             std::move(done));
}

void Engine::resize(const std::string& container, int64_t rows, int64_t columns, Done done) {
  http_.send(request("POST",
                     "/containers/" + container + "/resize?h=" + std::to_string(rows) +
                         "&w=" + std::to_string(columns),
                     kAnswerTimeout),
             std::move(done));
}

std::unique_ptr<HttpTransfer> Engine::attach(const std::string& container, HttpHandlers handlers) {
  return http_.start(request("POST", "/containers/" + container + "/attach?stream=1&stdout=1&stderr=1", kNoTimeout),
                     std::move(handlers));
}

std::unique_ptr<HttpTransfer> Engine::wait(const std::string& container, const std::string& condition,
                                           HttpHandlers handlers) {
  return http_.start(request("POST", "/containers/" + container + "/wait?condition=" + condition, kNoTimeout),
                     std::move(handlers));
}

void Engine::createExec(const std::string& container, Json command, Done done) {
  command["AttachStdout"] = true;
  command["AttachStderr"] = true;
  http_.send(requestWith(dump(command), "/containers/" + container + "/exec", kAnswerTimeout), std::move(done));
}

std::unique_ptr<HttpTransfer> Engine::startExec(const std::string& exec, HttpHandlers handlers) {
  return http_.start(requestWith(R"({"Detach":false,"Tty":false})", "/exec/" + exec + "/start", kNoTimeout),
                     std::move(handlers));
}

// libcurl has no half of a connection to hand on: what follows the headers belongs to nobody's HTTP any more.
FileDescriptor Engine::hijack(const std::string& path, const std::string& body) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socketPath_.size() >= sizeof address.sun_path) throw std::runtime_error(socketPath_ + ": the path is too long");
  socketPath_.copy(address.sun_path, socketPath_.size());
  FileDescriptor connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection || connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error(socketPath_ + ": " + std::strerror(errno));
  }
  const std::string text = "POST " + version_ + path + " HTTP/1.1\r\nHost: docker\r\n" +
                           "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n" +
                           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  // A new connection has room for so little.
  if (send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error(socketPath_ + ": " + std::strerror(errno));
  }
  return connection;
}

FileDescriptor Engine::openExec(const std::string& exec, bool terminal) {
  return hijack("/exec/" + exec + "/start", dump({{"Detach", false}, {"Tty", terminal}}));
}

FileDescriptor Engine::attachInput(const std::string& container, const std::string& leaveKeys) {
  char* const escaped = curl_easy_escape(nullptr, leaveKeys.c_str(), 0);
  const std::string keys = escaped == nullptr ? "" : escaped;
  curl_free(escaped);
  return hijack("/containers/" + container + "/attach?stream=1&stdin=1&detachKeys=" + keys, "");
}

void Engine::resizeExec(const std::string& exec, int64_t rows, int64_t columns, Done done) {
  http_.send(request("POST", "/exec/" + exec + "/resize?h=" + std::to_string(rows) + "&w=" + std::to_string(columns),
                     kAnswerTimeout),
             std::move(done));
}

void Engine::inspectExec(const std::string& exec, Done done) {
  http_.send(request("GET", "/exec/" + exec + "/json", kAnswerTimeout), std::move(done));
}

}  // namespace executor
