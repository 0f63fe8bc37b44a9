// Carries what a task writes from a pipe into the sandbox's stdout or stderr, which are rotated on the way.
#pragma once

#include <memory>

#include "event_loop.hpp"
#include "file_descriptor.hpp"
#include "sandbox_file.hpp"

namespace executor {

class TaskOutput {
 public:
  // Throws std::runtime_error when there is no pipe to be had.
  TaskOutput(EventLoop& loop, SandboxFile& file);
  ~TaskOutput();
  TaskOutput(const TaskOutput&) = delete;
  TaskOutput& operator=(const TaskOutput&) = delete;

  // What the task writes to. It is the file itself where that is not rotated: a container logger's pipe, a terminal.
  int writeEnd() const { return writeEnd_ ? writeEnd_.get() : file_.fd(); }
  // The task has it now.
  void closeWriteEnd() { writeEnd_.close(); }

  // Carries all that is in the pipe, without waiting for more.
  void drain();

 private:
  bool carry();

  EventLoop& loop_;
  SandboxFile& file_;
  FileDescriptor readEnd_;
  FileDescriptor writeEnd_;
};

}  // namespace executor
