#include "task_context.hpp"

namespace executor {

Command TaskContext::command(const std::string& program, const std::vector<std::string>& arguments,
                             const Variables& own) const {
  Variables variables = variables_;
  for (const auto& [name, value] : own) variables[name] = value;
  if (flags_.rootfs.empty()) return {program, arguments, variables};
  const Json info = besideTaskInfo(program, arguments, flags_, variables);
  return {flags_.launcherDirectory + "/mesos-containerizer",
          {"mesos-containerizer", "launch", "--namespace_mnt_target=" + std::to_string(process_)},
          {{"MESOS_CONTAINERIZER_LAUNCH_INFO", dump(info)}}};
}

}  // namespace executor
