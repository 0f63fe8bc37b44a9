#include "docker_client.hpp"

#include <unistd.h>

#include "text.hpp"

void preferOwnDockerClient(FlagValues& flags)
{
  const std::string client = joinedPath(flags.text("launcher_dir"), "mesos-docker-client");
  if (!flags.isSet("docker") && access(client.c_str(), X_OK) == 0) flags.at<std::string>("docker") = client;
}
