// mesos-cni-port-mapper: a plugin for CNI networks of Mesos, which calls one plugin a network. It calls two: the one of
// its configuration's "delegate", and the standard plugin "portmap", which knows nothing of how Mesos writes a task's
// ports. What Mesos documents of the plugin of this name holds, but for the names of the chains in iptables, which are
// portmap's.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>

using Json = nlohmann::json;

namespace {

const char* const MESOS = "org.apache.mesos";
const char* const PORTMAP_VERSION = "0.4.0";  // Mesos speaks 0.2.0 at most, where results look different
constexpr int OWN_ERROR = 100;

// What a plugin writes to say why it failed.
struct PluginError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

PluginError error(int code, const std::string& message)
{
  return PluginError(Json({{"cniVersion", "0.2.0"}, {"code", code}, {"msg", message}}).dump());
}

std::string variable(const char* name)
{
  const char* const value = std::getenv(name);
  if (value == nullptr) throw error(OWN_ERROR, std::string("the environment variable ") + name + " is missing");
  return value;
}

std::string pathOf(const std::string& plugin)
{
  std::istringstream folders(variable("CNI_PATH"));
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/" + plugin).c_str(), X_OK) == 0) return folder + "/" + plugin;
  throw error(OWN_ERROR, "there is no plugin '" + plugin + "' in " + variable("CNI_PATH"));
}

void writeAll(int descriptor, const std::string& text)
{
  for (size_t done = 0; done < text.size();) {
    const ssize_t written = write(descriptor, text.data() + done, text.size() - done);
    if (written <= 0) break;  // the plugin says what it misses
    done += static_cast<size_t>(written);
  }
}

std::string readAll(int descriptor)
{
  std::string text;
  char buffer[4096];
  for (ssize_t length; (length = read(descriptor, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(length));
  return text;
}

// What the plugin prints; throws it when the plugin fails.
std::string call(const Json& configuration, const std::string& command)
{
  const std::string path = pathOf(configuration.at("type"));
  int input[2], output[2];
  if (pipe(input) != 0 || pipe(output) != 0) throw error(OWN_ERROR, "there are no descriptors left");
  const pid_t plugin = fork();
  if (plugin == 0) {
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    for (const int descriptor : {input[0], input[1], output[0], output[1]}) close(descriptor);
    setenv("CNI_COMMAND", command.c_str(), 1);
    execl(path.c_str(), path.c_str(), nullptr);
    _exit(EXIT_FAILURE);
  }
  close(input[0]);
  close(output[1]);
  writeAll(input[1], configuration.dump());
  close(input[1]);
  const std::string printed = readAll(output[0]);
  close(output[0]);
  int status = EXIT_FAILURE;
  if (plugin > 0) waitpid(plugin, &status, 0);
  if (status == 0) return printed;
  throw printed.empty() ? error(OWN_ERROR, path + " failed") : PluginError(printed);
}

Json delegateOf(const Json& configuration)
{
  Json delegate = configuration.at("delegate");
  for (const char* const key : {"name", "cniVersion", "args"})
    if (!delegate.contains(key) && configuration.contains(key)) delegate[key] = configuration[key];
  return delegate;
}

Json portMappings(const Json& configuration)
{
  const Json none = Json::array();
  const Json info = configuration.value("args", Json::object()).value(MESOS, Json::object());
  Json mappings = Json::array();
  for (const Json& mapping : info.value("network_info", Json::object()).value("port_mappings", none))
    mappings.push_back(
        {{"hostPort", mapping.at("host_port")},
         {"containerPort", mapping.at("container_port")},
         {"protocol", mapping.value("protocol", "tcp")}});
  return mappings;
}

// `result` is what the delegate has said, in the form of CNI 0.2.0 or of a later one.
Json portmapOf(const Json& configuration, const Json& result)
{
  Json addresses = result.value("ips", Json::array());
  for (const auto& [family, version] : {std::pair("ip4", "4"), std::pair("ip6", "6")})
    if (result.contains(family)) addresses.push_back({{"version", version}, {"address", result[family].at("ip")}});

  Json portmap = {
      {"type", "portmap"},
      {"name", configuration.at("name")},
      {"cniVersion", PORTMAP_VERSION},
      {"snat", true},
      {"runtimeConfig", {{"portMappings", portMappings(configuration)}}},
      {"prevResult", {{"cniVersion", PORTMAP_VERSION}, {"ips", addresses}}}};
  const Json excluded = configuration.value("excludeDevices", Json::array());
  if (excluded.size() > 1) throw error(OWN_ERROR, "'excludeDevices' has several devices; portmap can exclude one");
  if (!excluded.empty()) portmap["conditionsV4"] = portmap["conditionsV6"] = {"!", "-i", excluded[0]};
  return portmap;
}

void add(const Json& configuration)
{
  const Json delegate = delegateOf(configuration);
  const std::string result = call(delegate, "ADD");
  try {
    if (!portMappings(configuration).empty()) call(portmapOf(configuration, Json::parse(result)), "ADD");
  } catch (...) {
    call(delegate, "DEL");
    throw;
  }
  std::cout << result;
}

// Each at least tries, for a network half cleared away is asked for again by nobody.
void remove(const Json& configuration)
{
  try {
    if (!portMappings(configuration).empty()) call(portmapOf(configuration, Json::object()), "DEL");
  } catch (const PluginError& failure) {
    std::cerr << failure.what() << std::endl;
  }
  call(delegateOf(configuration), "DEL");
}

void run()
{
  const std::string command = variable("CNI_COMMAND");
  if (command == "VERSION") {
    std::cout << Json({{"cniVersion", "0.2.0"}, {"supportedVersions", {"0.1.0", "0.2.0"}}}) << std::endl;
    return;
  }
  const Json configuration = Json::parse(std::cin);
  if (!configuration.value("delegate", Json::object()).contains("type"))
    throw error(OWN_ERROR, "'delegate' must be the configuration of a plugin, with its 'type'");
  if (command == "ADD")
    add(configuration);
  else if (command == "DEL")
    remove(configuration);
  else
    throw error(OWN_ERROR, "CNI_COMMAND is '" + command + "'; allowed: ADD, DEL, VERSION");
}

}

int main()
{
  try {
    run();
    return EXIT_SUCCESS;
  } catch (const PluginError& failure) {
    std::cout << failure.what() << std::endl;
  } catch (const Json::exception& failure) {
    const std::string reason = std::string("the configuration can't be read: ") + failure.what();
    std::cout << error(OWN_ERROR, reason).what() << std::endl;
  }
  return EXIT_FAILURE;
}
