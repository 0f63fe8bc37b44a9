// A pipe that no program which is started gets to see, unless it is handed over.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

#include "file_descriptor.hpp"

namespace executor {

struct Pipe {
  FileDescriptor readEnd;  // never waits
  FileDescriptor writeEnd;

  // Throws std::runtime_error when there is none to be had.
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
    readEnd = FileDescriptor(ends[0]);
    writeEnd = FileDescriptor(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
};

}  // namespace executor
