#include "nested_container.hpp"

namespace executor {
namespace {

// A volume of the task's disk is mounted in the executor's sandbox: the task sees it from there.
Json volumesOfDisks(const Json& task) {
  Json volumes = Json::array();
  for (const Json& resource : arrayOf(task, "resources", "task")) {
    const Json& volume = member(member(resource, "disk", "resource"), "volume", "disk");
    if (volume.is_null()) continue;
    const std::string path = textOr(volume, "container_path", "", "volume");
    volumes.push_back({{"mode", textOr(volume, "mode", "RW", "volume")},
                       {"container_path", path},
                       {"source", {{"type", "SANDBOX_PATH"}, {"sandbox_path", {{"type", "PARENT"}, {"path", path}}}}}});
  }
  return volumes;
}

// All resources of a task are of one role.
std::string roleOf(const Json& task) {
  for (const Json& resource : arrayOf(task, "resources", "task")) {
    return textOr(member(resource, "allocation_info"), "role", "*", "allocation_info");
  }
  return "*";
}

}  // namespace

Json launchOf(const Json& task, const Json& containerId, const std::string& address) {
  Json launch = {{"container_id", containerId}, {"command", Json::object()}};
  for (const char* field : {"command", "container", "resources", "limits"}) {
    if (has(task, field)) launch[field] = task[field];
  }
  Json& variables = launch["command"]["environment"]["variables"];
  if (variables.is_null()) variables = Json::array();
  variables.push_back({{"name", "MESOS_CONTAINER_IP"}, {"value", address}});
  variables.push_back({{"name", "MESOS_ALLOCATION_ROLE"}, {"value", roleOf(task)}});

  for (Json& volume : volumesOfDisks(task)) {
    Json& container = launch["container"];
    if (!has(container, "type")) container["type"] = "MESOS";
    container["volumes"].push_back(std::move(volume));
  }
  return launch;
}

}  // namespace executor
