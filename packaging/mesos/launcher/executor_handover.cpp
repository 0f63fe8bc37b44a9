#include "executor_handover.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "abi/process.hpp"
#include "diagnostics.hpp"
#include "executor_access.hpp"
#include "text.hpp"

using Json = nlohmann::json;
namespace filesystem = std::filesystem;

namespace {

std::string base64Url(const std::string& bytes)
{
  static const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const unsigned char byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) text += digits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += digits[bits << (6 - count) & 63];
  return text;
}

// A JSON Web Token as Mesos' JWTSecretGenerator makes them.
std::string signedToken(const Json& claims, const std::string& key)
{
  const Json header = {{"alg", "HS256"}, {"typ", "JWT"}};
  const std::string message = base64Url(header.dump()) + "." + base64Url(claims.dump());
  const Try<std::string> signature = process::network::openssl::generate_hmac_sha256(message, key);
  if (signature.isError()) fail("Failed to sign an executor's token: " + signature.error());
  return message + "." + base64Url(signature.get());
}

// For nobody but the executor, whose user has its sandbox; never half of it.
void writePrivately(const std::string& path, const std::string& text, uid_t owner)
{
  const std::string aside = path + ".tmp";
  unlink(aside.c_str());
  const int file = open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool written = file >= 0 && fchown(file, owner, static_cast<gid_t>(-1)) == 0 &&
                       write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (file >= 0) close(file);
  if (!written || rename(aside.c_str(), path.c_str()) != 0)
    logWarning("Can't tell an executor how to reach this agent: " + path + ": " + std::strerror(errno));
}

// What is checkpointed in <work_dir>/meta/slaves/... is of a run in <work_dir>/slaves/...
filesystem::path sandboxOf(const FlagValues& flags, const filesystem::path& run)
{
  std::error_code none;
  const filesystem::path work = filesystem::canonical(flags.text("work_dir"), none);
  return work / filesystem::relative(run, work / "meta", none);
}

struct stat statusOf(const filesystem::path& file)
{
  struct stat status = {};
  stat(file.c_str(), &status); // root's, when it is gone
  return status;
}

std::vector<filesystem::path> entriesOf(const filesystem::path& folder)
{
  std::error_code none;
  std::vector<filesystem::path> entries;
  for (const auto& entry : filesystem::directory_iterator(folder, none)) entries.push_back(entry.path());
  return entries;
}

}

void handOverExecutors(const FlagValues& flags)
{
  const std::string key = executorKey(flags);
  const bool sockets = flags.at<bool>("http_executor_domain_sockets");
  const std::string socket = sockets ? flags.text("domain_socket_location") : "";

  const filesystem::path agent = joinedPath(flags.text("work_dir"), "meta/slaves/latest");
  for (const auto& framework : entriesOf(agent / "frameworks")) {
    for (const auto& executor : entriesOf(framework / "executors")) {
      std::error_code none;
      const filesystem::path run = filesystem::canonical(executor / "runs/latest", none);
      // Docker executors have left the first, those of the HTTP API the second.
      if (!filesystem::exists(run / "pids/libprocess.pid", none) && !filesystem::exists(run / "http.marker", none))
        continue;

      const Json claims = {{"fid", framework.filename()}, {"eid", executor.filename()}, {"cid", run.filename()}};
      const Json access = {{"domain_socket", socket}, {"token", key.empty() ? "" : signedToken(claims, key)}};
      const struct stat sandbox = statusOf(sandboxOf(flags, run));
      // The folder is root's and its group's, and the executor must get in.
      if (sandbox.st_uid != 0 && chown(run.c_str(), static_cast<uid_t>(-1), sandbox.st_gid) != 0)
        logWarning("Can't let an executor into " + run.string() + ": " + std::strerror(errno));
      writePrivately(run / "pids/agent_access.json", access.dump(), sandbox.st_uid);
    }
  }
}
