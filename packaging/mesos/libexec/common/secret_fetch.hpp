// Fetches the URIs that only the executor gets to see (task_data.hpp), through mesos-fetcher. Those of the task's command
// are fetched by the agent, which shows and logs them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "children.hpp"
#include "event_loop.hpp"
#include "json.hpp"
#include "sandbox_file.hpp"

namespace executor {

struct FetchSettings {
  std::string launcherDirectory;
  std::string sandbox;
};

// Null when the task has none. `data`: as taskData() has it. `done` gets what went wrong, or nothing when all are in the
// sandbox; `log`: for what the fetcher says. Throws InvalidField.
std::unique_ptr<Child> fetchSecretUris(EventLoop& loop, const Json& data, const FetchSettings& settings,
                                       SandboxFile& log, std::function<void(const std::string& error)> done);

}  // namespace executor
