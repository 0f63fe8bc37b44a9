#include "secret_fetch.hpp"

#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "wait_status.hpp"

namespace executor {
namespace {

// Whom files of the sandbox belong to: whoever owns the sandbox, as with the agent's own fetching.
std::string ownerOf(const std::string& sandbox) {
  struct stat status {};
  if (stat(sandbox.c_str(), &status) != 0) return "";
  const passwd* const owner = getpwuid(status.st_uid);
  return owner == nullptr ? "" : owner->pw_name;
}

std::string fetcherInfo(const Json& uris, const std::string& sandbox) {
  Json items = Json::array();
  for (const Json& uri : uris) items.push_back({{"uri", uri}, {"action", "BYPASS_CACHE"}, {"confidential", true}});
  return dump({{"sandbox_directory", sandbox}, {"user", ownerOf(sandbox)}, {"items", std::move(items)}});
}

// The last thing that it has logged, without the head of the line.
std::string lastMessage(std::string errors) {
  while (!errors.empty() && errors.back() == '\n') errors.pop_back();
  const std::string line = errors.substr(errors.rfind('\n') + 1);
  const size_t head = line.find("] ");
  return head == std::string::npos ? line : line.substr(head + 2);
}

}  // namespace

std::unique_ptr<Child> fetchSecretUris(EventLoop& loop, const Json& data, const FetchSettings& settings,
                                       SandboxFile& log, std::function<void(const std::string& error)> done) {
  const Json& uris = arrayOf(data, "fetch", "task.data");
  if (uris.empty()) return nullptr;
  // Not as an argument, which everybody could read.
  const std::map<std::string, std::string> environment{{"MESOS_FETCHER_INFO", fetcherInfo(uris, settings.sandbox)}};
  return Child::program(loop, settings.launcherDirectory + "/mesos-fetcher", {"mesos-fetcher"}, environment,
                        [&log, done = std::move(done)](const ChildResult& result) {
                          log.write(result.errors);
                          if (result.status == 0) {
                            done("");
                          } else if (WIFEXITED(result.status) && !result.errors.empty()) {
                            done(lastMessage(result.errors));
                          } else {
                            done("mesos-fetcher " + describeWaitStatus(result.status));
                          }
                        });
}

}  // namespace executor
