#include "fetcher_info.hpp"

#include <algorithm>
#include <cctype>

namespace executor {
namespace {

const std::string kSeparator = "://";

// Leading blanks are Mesos' own leniency.
std::string withoutLeadingBlanks(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin);
}

// The part of a URI behind its last slash, as Mesos' agent names files in its cache.
std::string lastPart(const std::string& uri) {
  const size_t separator = uri.find(kSeparator);
  const size_t start = separator == std::string::npos ? 0 : separator + kSeparator.size();
  const size_t slash = uri.find_last_of('/');
  if (slash != std::string::npos && slash >= start) return uri.substr(slash + 1);
  return start == 0 ? uri : "";  // a host alone has no file
}

// Throws unless it names a file below a folder, whatever is there already.
std::string relativePath(const std::string& path, const std::string& field) {
  const auto refuse = [&](const std::string& rule) { throw InvalidField(field + " is '" + path + "': " + rule); };
  if (path.empty() || path.back() == '/') refuse("must name a file");
  if (path.front() == '/') refuse("must be relative to the sandbox");
  if (path.find('\0') != std::string::npos) refuse("must not have a zero byte");
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part == ".." || part == "." || part.empty()) refuse("must not have a part '" + part + "'");
    begin = end + 1;
  }
  if (isAgentsFile(path)) refuse("is the agent's own file");
  return path;
}

CacheAction actionOf(const Json& item) {
  const std::string action = textOr(item, "action", "BYPASS_CACHE", "items");
  if (action == "BYPASS_CACHE") return CacheAction::Bypass;
  if (action == "DOWNLOAD_AND_CACHE") return CacheAction::Download;
  if (action == "RETRIEVE_FROM_CACHE") return CacheAction::Retrieve;
  throw InvalidField("items.action is '" + action +
                     "': must be BYPASS_CACHE, DOWNLOAD_AND_CACHE or RETRIEVE_FROM_CACHE");
}

FetchItem readItem(const Json& json) {
  const Json& uri = member(json, "uri", "items");
  FetchItem item;
  item.uri = withoutLeadingBlanks(textOr(uri, "value", "", "uri"));
  if (item.uri.empty()) throw InvalidField("uri.value is empty: must be a URI or a path");
  item.confidential = boolOr(json, "confidential", false, "items");
  if (item.confidential && !has(uri, "output_file")) {
    throw InvalidField("uri.output_file is missing: a confidential URI gives its file no name");
  }
  item.file = has(uri, "output_file") ? relativePath(textOr(uri, "output_file", "", "uri"), "uri.output_file")
                                      : relativePath(lastPart(item.uri), "the name at the end of the URI");
  if (item.uri.find_first_of(std::string("\0\r\n", 3)) != std::string::npos) {
    throw InvalidField("the URI '" + shown(item) + "' must be one line");
  }
  item.executable = boolOr(uri, "executable", false, "uri");
  item.extract = boolOr(uri, "extract", true, "uri") && !item.executable;
  item.cache = actionOf(json);
  if (item.cache != CacheAction::Bypass) {
    item.cacheFile = relativePath(textOr(json, "cache_filename", "", "items"), "items.cache_filename");
  }
  return item;
}

}  // namespace

bool isAgentsFile(const std::string& file) {
  for (const char* name : {"stdout", "stderr"}) {
    const size_t length = std::string(name).size();
    if (file.compare(0, length, name) != 0) continue;
    if (file.size() == length || file[length] == '.' || file[length] == '/') return true;
  }
  return false;
}

FetcherInfo readFetcherInfo(const Json& json) {
  FetcherInfo info;
  info.sandbox = textOr(json, "sandbox_directory", "", "fetcher info");
  if (info.sandbox.empty() || info.sandbox.front() != '/') {
    throw InvalidField("sandbox_directory is '" + info.sandbox + "': must be an absolute path");
  }
  info.cache = textOr(json, "cache_directory", "", "fetcher info");
  info.user = textOr(json, "user", "", "fetcher info");
  info.frameworksHome = textOr(json, "frameworks_home", "", "fetcher info");
  if (has(json, "stall_timeout")) info.stallTimeout = durationOf(json["stall_timeout"], "stall_timeout");
  for (const Json& item : arrayOf(json, "items", "fetcher info")) {
    info.items.push_back(readItem(item));
    if (info.items.back().cache != CacheAction::Bypass && info.cache.empty()) {
      throw InvalidField("cache_directory is missing: '" + shown(info.items.back()) + "' is to be cached");
    }
  }
  return info;
}

std::string schemeOf(const std::string& uri) {
  const size_t separator = uri.find(kSeparator);
  if (separator == std::string::npos) return "";
  std::string scheme = uri.substr(0, separator);
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  return scheme;
}

std::string withoutSecrets(const std::string& uri) {
  const size_t separator = uri.find(kSeparator);
  if (separator == std::string::npos) return uri;
  const size_t authority = separator + kSeparator.size();
  const std::string shown = uri.substr(0, uri.find_first_of("?#", authority));
  const std::string more = shown.size() < uri.size() ? "?***" : "";
  // A password may have a slash or a question mark that nobody has encoded: what is before the last @ is not shown.
  const size_t last = uri.rfind('@');
  if (last == std::string::npos || last < authority) return shown + more;
  const std::string scheme = uri.substr(0, authority);
  return last < shown.size() ? scheme + "***" + shown.substr(last) + more : scheme + "***";
}

std::string shown(const FetchItem& item) { return item.confidential ? item.file : withoutSecrets(item.uri); }

}  // namespace executor
