// What mesos-containerizer is told to launch: Mesos' ContainerLaunchInfo. Pure.
#pragma once

#include <map>
#include <string>

#include "command_flags.hpp"
#include "task_data.hpp"

namespace executor {

using Variables = std::map<std::string, std::string>;

// The task's variables: those of the executor, of Mesos' isolators, of the task's command and the secrets that it carries;
// the later ones win. `own`: the executor's. Secrets that no isolator has resolved are left out. Throws InvalidField.
Variables taskVariables(const Json& task, const Secrets& secrets, const CommandFlags& flags, const Variables& own);

// Throws InvalidField when the task has no command, or one that Mesos refuses.
Json launchInfo(const Json& task, const CommandFlags& flags, const Variables& variables);

// For a command that runs beside the task and as it does, in its root file system.
// `arguments`: with the program's name.
Json besideTaskInfo(const std::string& program, const std::vector<std::string>& arguments, const CommandFlags& flags,
                    const Variables& variables);

}  // namespace executor
