// mesos-fetcher: puts the URIs of a task into its sandbox. Started by mesos-agent before the task's executor, and by that
// for URIs that the agent does not get to see. MESOS_FETCHER_INFO says what is to be done; the agent keeps the books of
// the cache.
#include <curl/curl.h>
#include <sys/stat.h>

#include <clocale>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "fetch.hpp"
#include "fetcher_info.hpp"
#include "flag_parser.hpp"
#include "log.hpp"
#include "memory_limit.hpp"

namespace executor {
namespace {

const char kVariable[] = "MESOS_FETCHER_INFO";

// Takes it out of the environment, too: URIs can have passwords in them.
Json takeFetcherInfo() {
  char* const value = std::getenv(kVariable);
  if (value == nullptr) {
    throw std::invalid_argument(std::string("the environment has no ") + kVariable +
                                ": this program is started by a Mesos agent");
  }
  const std::string text = value;
  explicit_bzero(value, text.size());
  unsetenv(kVariable);
  return parseJson(text, kVariable);
}

void run(const LogSettings& log) {
  configureLog(log);
  const FetcherInfo info = readFetcherInfo(takeFetcherInfo());
  umask(022);
  // Archives have names in UTF-8.
  if (std::setlocale(LC_CTYPE, "C.UTF-8") == nullptr) logWarning("no locale C.UTF-8: names that are not ASCII are refused");
  limitMemory();
  curl_global_init(CURL_GLOBAL_ALL);
  fetchAll(info);
}

}  // namespace
}  // namespace executor

int main(int argc, char** argv) {
  executor::LogSettings log;
  log.name = "fetcher";
  executor::CommandLine line("mesos-fetcher", "Fetches the URIs of a Mesos task into its sandbox.",
                             executor::logFlags(log));
  return line.run(argc, argv, [&] { executor::run(log); });
}
