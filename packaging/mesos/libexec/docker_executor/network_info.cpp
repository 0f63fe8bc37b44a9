#include "network_info.hpp"

#include <string>

namespace executor {

std::optional<Json> networkInfoOf(const Json& task, const Json& inspected) {
  const std::string mode = textOr(member(inspected, "HostConfig"), "NetworkMode", "", "HostConfig");
  const Json& settings = member(inspected, "NetworkSettings");
  const Json& networks = member(settings, "Networks");
  const Json* network = &member(networks, mode.c_str());
  // A network that was named by its id is listed under its name.
  if (network->is_null() && networks.is_object() && networks.size() == 1) network = &networks.begin().value();
  std::string v4 = textOr(*network, "IPAddress", "", "Networks");
  if (v4.empty()) v4 = textOr(settings, "IPAddress", "", "NetworkSettings");
  const std::string v6 = textOr(*network, "GlobalIPv6Address", "", "Networks");
  if (v4.empty() && v6.empty()) return std::nullopt;

  const Json& asked = arrayOf(member(task, "container"), "network_infos", "container");
  Json info = asked.empty() ? Json::object() : asked.front();
  Json& addresses = info["ip_addresses"] = Json::array();
  if (!v4.empty()) addresses.push_back({{"protocol", "IPv4"}, {"ip_address", v4}});
  if (!v6.empty()) addresses.push_back({{"protocol", "IPv6"}, {"ip_address", v6}});
  return info;
}

}  // namespace executor
