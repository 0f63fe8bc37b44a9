#include "obtain.hpp"

#include <curl/curl.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

#include "disk_room.hpp"
#include "file_descriptor.hpp"
#include "memory_limit.hpp"

namespace executor {
namespace {

constexpr long kConnectSeconds = 30;
constexpr long kMostRedirects = 20;
constexpr size_t kCopyBlock = size_t{128} << 10;

std::string reason() { return std::strerror(errno); }

// A new file that takes the place of `path` when all is in it. Until then it has no name, where the file system can do
// that: a fetcher that is killed leaves nothing. Messages have no name either: it may have a URI's query.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path), folder_(path.substr(0, path.rfind('/') + 1)), room_(folder_) {
    file_ = FileDescriptor(open(folder_.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    if (file_) return;
    aside_ = folder_ + ".fetching-XXXXXX";
    file_ = FileDescriptor(mkostemp(aside_.data(), O_CLOEXEC));
    if (!file_) throw std::runtime_error("can't write to its folder: " + reason());
  }

  ~NewFile() {
    std::error_code none;
    if (!aside_.empty()) std::filesystem::remove_all(aside_, none);
  }

  void write(const char* bytes, size_t count) {
    room_.take(count);
    while (count > 0) {
      const ssize_t written = ::write(file_.get(), bytes, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw std::runtime_error("can't write it: " + reason());
      bytes += written;
      count -= static_cast<size_t>(written);
    }
  }

  // A name that another program may put it at, instead of what is written here.
  const std::string& elsewhere() {
    if (aside_.empty()) name();
    unlink(aside_.c_str());
    return aside_;
  }

  void finish() {
    if (aside_.empty()) name();
    struct stat status {};
    const bool there = lstat(aside_.c_str(), &status) == 0;
    if (!there || (S_ISREG(status.st_mode) && chmod(aside_.c_str(), 0666 & ~mask()) != 0) ||
        rename(aside_.c_str(), path_.c_str()) != 0) {
      throw std::runtime_error("can't put it in its place: " + reason());
    }
    aside_.clear();
  }

 private:
  static mode_t mask() {
    const mode_t now = umask(0);
    umask(now);
    return now;
  }

  // Only a name can take the place of another.
  void name() {
    std::string id;
    std::ifstream("/proc/sys/kernel/random/uuid") >> id;
    const std::string aside = folder_ + ".fetching-" + id;
    const std::string nameless = "/proc/self/fd/" + std::to_string(file_.get());
    if (linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, aside.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      throw std::runtime_error("can't name it: " + reason());
    }
    aside_ = aside;
  }

  const std::string path_;
  const std::string folder_;
  DiskRoom room_;
  std::string aside_;
  FileDescriptor file_;
};

struct Download {
  NewFile& file;
  std::string problem;

  static size_t receive(char* bytes, size_t size, size_t count, void* self) {
    auto* const download = static_cast<Download*>(self);
    try {
      download->file.write(bytes, size * count);
      return size * count;
    } catch (const std::runtime_error& error) {
      download->problem = error.what();
      return CURL_WRITEFUNC_ERROR;
    }
  }
};

// Above all, not from a server to this host's files.
void restrictProtocols(CURL* easy) {
// Ubuntu 22.04's libcurl does not know the options that have replaced these.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FTP | CURLPROTO_FTPS);
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#pragma GCC diagnostic pop
}

void download(const FetchItem& item, NewFile& file, Duration stallTimeout) {
  const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
  Download receiver{file, ""};
  char errorText[CURL_ERROR_SIZE] = "";
  const auto set = [&easy](CURLoption option, auto value) { curl_easy_setopt(easy.get(), option, value); };
  set(CURLOPT_URL, item.uri.c_str());
  set(CURLOPT_WRITEFUNCTION, &Download::receive);
  set(CURLOPT_WRITEDATA, &receiver);
  set(CURLOPT_ERRORBUFFER, errorText);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kMostRedirects);
  restrictProtocols(easy.get());
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(std::chrono::ceil<std::chrono::seconds>(stallTimeout).count()));
  // What is fetched must be what the server has, not what it says about that.
  set(CURLOPT_FAILONERROR, 1L);

  const CURLcode code = curl_easy_perform(easy.get());
  if (!receiver.problem.empty()) throw std::runtime_error(receiver.problem);
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  // The text can have a part of the URI in it, and of what nobody has encoded in a password.
  const bool tell = errorText[0] != '\0' && !item.confidential;
  if (code == CURLE_HTTP_RETURNED_ERROR && item.confidential) {
    throw std::runtime_error("the server answered with " + std::to_string(status));
  }
  if (code != CURLE_OK) throw std::runtime_error(tell ? errorText : curl_easy_strerror(code));
  const bool http = schemeOf(item.uri).compare(0, 4, "http") == 0;
  if (http && status != 200) throw std::runtime_error("the server answered with " + std::to_string(status));
}

std::string localPath(const std::string& uri, const FetcherInfo& info) {
  static const std::string scheme = "file://";
  std::string path = schemeOf(uri) == "file" ? uri.substr(scheme.size()) : uri;
  static const std::string host = "localhost/";
  if (schemeOf(uri) == "file" && path.compare(0, host.size(), host) == 0) path = path.substr(host.size() - 1);
  if (!path.empty() && path.front() == '/') return path;
  if (schemeOf(uri) == "file") throw std::runtime_error("file:// must be followed by an absolute path");
  if (info.frameworksHome.empty()) {
    throw std::runtime_error("a relative path needs the agent's --frameworks_home, which is not set");
  }
  return info.frameworksHome + "/" + path;
}

void copyInto(NewFile& file, const std::string& from) {
  // Without waiting for somebody to write to a pipe.
  const FileDescriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!source || fstat(source.get(), &status) != 0) throw std::runtime_error("can't read it: " + reason());
  if (!S_ISREG(status.st_mode)) throw std::runtime_error("it is no file");
  std::vector<char> block(kCopyBlock);
  for (;;) {
    const ssize_t count = read(source.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw std::runtime_error("can't read it: " + reason());
    if (count == 0) return;
    file.write(block.data(), static_cast<size_t>(count));
  }
}

// For everything that Hadoop's client is configured for: hdfs://, s3a:// and others.
void copyByHadoop(const std::string& uri, NewFile& file) {
  const char* const home = std::getenv("HADOOP_HOME");
  const std::string program = home != nullptr ? std::string(home) + "/bin/hadoop" : "hadoop";
  const std::string target = file.elsewhere();  // it refuses to write to a file that is there
  std::vector<const char*> arguments{program.c_str(), "fs", "-copyToLocal", uri.c_str(), target.c_str(), nullptr};
  const MemoryLimitLifted lifted;
  pid_t pid = 0;
  const int failed =
      posix_spawnp(&pid, program.c_str(), nullptr, nullptr, const_cast<char* const*>(arguments.data()), environ);
  if (failed != 0) {
    throw std::runtime_error("'" + schemeOf(uri) + "' needs Hadoop's client, and " + program +
                             " can't be run: " + std::strerror(failed));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw std::runtime_error("Hadoop's client failed; see its message above");
}

}  // namespace

void obtain(const FetchItem& item, const std::string& path, const FetcherInfo& info) {
  NewFile file(path);
  const std::string scheme = schemeOf(item.uri);
  if (scheme == "http" || scheme == "https" || scheme == "ftp" || scheme == "ftps") {
    download(item, file, info.stallTimeout);
  } else if (item.confidential) {
    throw std::runtime_error("a confidential URI must begin with http://, https://, ftp:// or ftps://");
  } else if (scheme.empty() || scheme == "file") {
    copyInto(file, localPath(item.uri, info));
  } else {
    copyByHadoop(item.uri, file);
  }
  file.finish();
}

void copyFile(const std::string& from, const std::string& path) {
  NewFile file(path);
  copyInto(file, from);
  file.finish();
}

}  // namespace executor
