// mesos-container-setup: prepares what a container of the Mesos containerizer sees (mounts, root file system, user,
// capabilities), by Mesos' own code, and becomes its command. mesos-containerizer starts it.
#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "abi/subcommands.hpp"

using namespace mesos::internal::slave;

namespace {

const char* const LAUNCH_INFO = "MESOS_CONTAINERIZER_LAUNCH_INFO";
const char* const FAILURES = "MESOS_CONTAINERIZER_FAILURES_DESCRIPTOR";

int failures = -1;
pid_t setup = 0;

// Mesos mounts /proc/sysrq-trigger and others over themselves. A kernel may lack some, and no container with an image
// would start.
void leaveOutAbsentProcFiles()
{
  const char* const text = std::getenv(LAUNCH_INFO);
  if (text == nullptr) return;

  nlohmann::json info = nlohmann::json::parse(text, nullptr, false);
  if (!info.is_object() || !info.contains("mounts")) return; // Mesos says what is wrong

  nlohmann::json kept = nlohmann::json::array();
  for (const auto& mount : info["mounts"]) {
    const std::string source = mount.value("source", "");
    const size_t proc = source.rfind("/proc/");
    // Of a root file system that the agent has made, or of the host's.
    const std::string root = proc == std::string::npos ? "" : source.substr(0, proc);
    const bool ofRoot = root.empty() || root.find("/provisioner/containers/") != std::string::npos;
    const bool ofProc = proc != std::string::npos && ofRoot && source == mount.value("target", "");
    if (!ofProc || access(source.c_str() + proc, F_OK) == 0) kept.push_back(mount);
  }
  info["mounts"] = kept;
  setenv(LAUNCH_INFO, info.dump().c_str(), 1);
}

// The command gets none of what its ancestors have open.
void closeAtExec()
{
  constexpr unsigned first = STDERR_FILENO + 1;
  if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  DIR* const descriptors = opendir("/proc/self/fd"); // kernels before 5.11
  if (descriptors == nullptr) return;
  while (const dirent* const entry = readdir(descriptors)) {
    const unsigned descriptor = std::strtoul(entry->d_name, nullptr, 10);
    if (descriptor >= first) fcntl(static_cast<int>(descriptor), F_SETFD, FD_CLOEXEC);
  }
  closedir(descriptors);
}

}

// In place of the C library's, for libmesos.so: it ends so when the container can't be made, and at no other time. Who
// waits for the command is told by the descriptor that this variable names, which is closed when it is executed.
extern "C" [[noreturn]] void _exit(int status)
{
  if (failures >= 0 && getpid() == setup && write(failures, "f", 1) < 0) {} // nobody waits any more
  for (;;) syscall(SYS_exit_group, status);
}

int main(int argc, char** argv)
{
  setup = getpid();
  if (const char* const descriptor = std::getenv(FAILURES)) failures = std::atoi(descriptor);
  unsetenv(FAILURES);
  closeAtExec();
  leaveOutAbsentProcFiles();

  // Never destroyed: what libmesos destroys with them would be the outlines that we have of them.
  Subcommand* const subcommands[] = {new MesosContainerizerLaunch, new NetworkCniIsolatorSetup};
  for (Subcommand* subcommand : subcommands) {
    if (argc < 2 || subcommand->name != argv[1]) continue;
    const Try<flags::Warnings> loaded =
        subcommand->getFlags()->load(Option<std::string>("MESOS_CONTAINERIZER_"), argc - 1, argv + 1, false, false);
    if (loaded.isError()) {
      std::cerr << "Failed to parse the flags: " << loaded.error() << std::endl;
      return EXIT_FAILURE;
    }
    return subcommand->execute();
  }

  std::cerr << "Usage: mesos-containerizer SUBCOMMAND [OPTIONS], with one of the subcommands";
  for (Subcommand* subcommand : subcommands) std::cerr << ' ' << subcommand->name;
  std::cerr << std::endl;
  return EXIT_FAILURE;
}
