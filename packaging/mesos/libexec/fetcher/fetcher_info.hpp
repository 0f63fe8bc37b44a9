// What the fetcher is asked to do: Mesos' FetcherInfo, validated. The executors' own is `confidential`. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "duration.hpp"
#include "json.hpp"

namespace executor {

enum class CacheAction { Bypass, Download, Retrieve };

struct FetchItem {
  std::string uri;
  std::string file;  // where it is put, below the sandbox
  bool confidential = false;  // nothing of the URI may be told, to nobody
  bool executable = false;
  bool extract = true;
  CacheAction cache = CacheAction::Bypass;
  std::string cacheFile;  // its name in the cache
};

struct FetcherInfo {
  std::vector<FetchItem> items;
  std::string sandbox;
  std::string cache;           // the user's folder of the cache, empty when none is used
  std::string user;            // who fetches, empty for whoever started the fetcher
  std::string frameworksHome;  // for local paths that are relative
  Duration stallTimeout = std::chrono::minutes(1);
};

// Throws InvalidField that names the field.
FetcherInfo readFetcherInfo(const Json& info);

// Whether the file is one that the agent itself writes or reads in a sandbox, as root: its stdout, its stderr, and what
// they become when they are rotated.
bool isAgentsFile(const std::string& file);

// "http" of "http://host/path"; empty for a local path. Lower case.
std::string schemeOf(const std::string& uri);

// A URI for people: without a password, and without the values that may be one in its query.
std::string withoutSecrets(const std::string& uri);

// What is fetched, for people.
std::string shown(const FetchItem& item);

}  // namespace executor
