#include "fetch.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "file_descriptor.hpp"
#include "log.hpp"
#include "obtain.hpp"
#include "unpack.hpp"
#include "user.hpp"

namespace executor {
namespace {

std::string reason() { return std::strerror(errno); }

// The cache is in folders of the users, which nobody but the agent can make.
void makeCache(const FetcherInfo& info) {
  const bool used = std::any_of(info.items.begin(), info.items.end(),
                                [](const FetchItem& item) { return item.cache != CacheAction::Bypass; });
  if (!used) return;
  std::filesystem::create_directories(info.cache);
  if (info.user.empty()) return;
  const passwd& user = userOf(info.user);
  if (chown(info.cache.c_str(), user.pw_uid, user.pw_gid) != 0) {
    throw std::runtime_error("can't give " + info.cache + " to '" + info.user + "': " + reason());
  }
}

void become(const std::string& name) {
  const passwd& user = userOf(name);
  if (user.pw_uid == geteuid()) return;
  if (initgroups(name.c_str(), user.pw_gid) != 0 || setgid(user.pw_gid) != 0 || setuid(user.pw_uid) != 0) {
    throw std::runtime_error("can't become the user '" + name + "': " + reason());
  }
}

// The folders above a file of the sandbox. None may be a link: an archive that was unpacked before may have put it there.
void makeFolders(const std::string& sandbox, const std::string& file) {
  FileDescriptor folder(open(sandbox.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (size_t begin = 0, end = 0; (end = file.find('/', begin)) != std::string::npos; begin = end + 1) {
    const std::string part = file.substr(begin, end - begin);
    if (mkdirat(folder.get(), part.c_str(), 0777) != 0 && errno != EEXIST) {
      throw std::runtime_error("can't make its folder: " + reason());
    }
    FileDescriptor next(openat(folder.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) throw std::runtime_error("'" + file.substr(0, end) + "' is no folder of the sandbox");
    folder = std::move(next);
  }
}

// A file of the cache is there as a whole, so that it can be taken from there by others meanwhile.
std::string obtainOnce(const FetchItem& item, const FetcherInfo& info) {
  const std::string cached = info.cache + "/" + item.cacheFile;
  if (item.cache == CacheAction::Download && access(cached.c_str(), F_OK) != 0) obtain(item, cached, info);
  return cached;
}

void fetch(const FetchItem& item, const FetcherInfo& info) {
  const std::string path = info.sandbox + "/" + item.file;
  makeFolders(info.sandbox, item.file);
  std::string source = path;
  if (item.cache == CacheAction::Bypass) {
    obtain(item, path, info);
  } else {
    source = obtainOnce(item, info);
  }
  if (item.extract && isArchive(source)) {
    unpack(source, info.sandbox);
    return;
  }
  if (source != path) copyFile(source, path);
  if (item.executable && chmod(path.c_str(), 0755) != 0) {
    throw std::runtime_error("can't make it executable: " + reason());
  }
}

}  // namespace

void fetchAll(const FetcherInfo& info) {
  makeCache(info);
  if (!info.user.empty()) become(info.user);
  for (const FetchItem& item : info.items) {
    try {
      fetch(item, info);
    } catch (const std::exception& error) {
      throw std::runtime_error("Failed to fetch '" + shown(item) + "': " + error.what());
    }
    logInfo("Fetched '" + shown(item) + "'");
  }
}

}  // namespace executor
