#include "exec_end.hpp"

#include <signal.h>

#include "process_tree.hpp"

namespace executor {
namespace {

constexpr Duration kLookAgain = std::chrono::milliseconds(200);
constexpr int kLooks = 150;  // half a minute: as long as a busy engine may take to begin a command

void look(EventLoop& loop, Engine& engine, const std::string& exec, int looks) {
  engine.inspectExec(exec, [&loop, &engine, exec, looks](const HttpResponse& response) {
    if (!response.ok()) return;
    const Json answer = parseJson(response.body, "answer");
    const auto pid = static_cast<pid_t>(integerOr(answer, "Pid", 0, "answer"));
    if (pid > 1 && boolOr(answer, "Running", false, "answer")) {
      // First what it has started: without it, that would belong to the container's first process.
      killDescendants(pid);
      ::kill(pid, SIGKILL);
    } else if (looks > 1 && !has(answer, "ExitCode")) {
      loop.after(kLookAgain, [&loop, &engine, exec, looks] { look(loop, engine, exec, looks - 1); });
    }
  });
}

}  // namespace

void endExec(EventLoop& loop, Engine& engine, const std::string& exec) { look(loop, engine, exec, kLooks); }

}  // namespace executor
