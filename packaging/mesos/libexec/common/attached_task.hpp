// Somebody who looks at the task itself: sees what it writes from now on, and may write what it reads.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "event_loop.hpp"
#include "exec_commands.hpp"
#include "sandbox_file.hpp"

namespace executor {

// What the task reads.
class TaskInput {
 public:
  virtual ~TaskInput() = default;

  // See ExecCommand.
  virtual size_t write(std::string_view bytes) = 0;
  virtual void endInput() = 0;
  virtual void resize(int64_t rows, int64_t columns) = 0;
};

class AttachedTask : public ExecCommand {
 public:
  // `files`: where its output goes, by write(); `input`: null if it gets none.
  AttachedTask(EventLoop& loop, SandboxFiles& files, std::unique_ptr<TaskInput> input, ExecHandlers handlers);
  ~AttachedTask() override;

  size_t write(std::string_view bytes) override { return input_ ? input_->write(bytes) : bytes.size(); }
  void endInput() override;
  void resize(int64_t rows, int64_t columns) override;
  void resume() override {}

 private:
  void show(StandardStream stream, std::string_view bytes);

  EventLoop& loop_;
  SandboxFiles& files_;
  const ExecHandlers handlers_;
  std::unique_ptr<TaskInput> input_;
  EventLoop::TimerId tooSlow_ = 0;
};

}  // namespace executor
