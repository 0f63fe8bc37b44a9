#include "attached_task.hpp"

namespace executor {

AttachedTask::AttachedTask(EventLoop& loop, SandboxFiles& files, std::unique_ptr<TaskInput> input,
                           ExecHandlers handlers)
    : loop_(loop), files_(files), handlers_(std::move(handlers)), input_(std::move(input)) {
  files_.out.listen(this, [this](std::string_view bytes) { show(StandardStream::Out, bytes); });
  files_.err.listen(this, [this](std::string_view bytes) { show(StandardStream::Err, bytes); });
}

AttachedTask::~AttachedTask() {
  files_.out.unlisten(this);
  files_.err.unlisten(this);
  loop_.cancel(tooSlow_);
}

void AttachedTask::endInput() {
  if (input_) input_->endInput();
}

void AttachedTask::resize(int64_t rows, int64_t columns) {
  if (input_) input_->resize(rows, columns);
}

// The task must not wait for who looks at it.
void AttachedTask::show(StandardStream stream, std::string_view bytes) {
  if (tooSlow_ != 0 || handlers_.onOutput(stream, bytes) == bytes.size()) return;
  // Not from here: this would be destroyed while it is called.
  tooSlow_ = loop_.after(Duration::zero(), [onEnd = handlers_.onEnd] {
    onEnd({0, "it writes faster than can be shown here; its sandbox has all of it"});
  });
}

}  // namespace executor
