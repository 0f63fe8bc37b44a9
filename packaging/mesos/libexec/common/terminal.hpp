// A pseudo terminal: what a program takes for the terminal of a person.
#pragma once

#include <cstdint>

#include "file_descriptor.hpp"

namespace executor {

struct PseudoTerminal {
  FileDescriptor ours;     // never waits
  FileDescriptor program;  // for its stdin, stdout and stderr

  // Throws std::runtime_error when there is none to be had.
  PseudoTerminal(int64_t rows, int64_t columns);
  void resize(int64_t rows, int64_t columns) const;
};

// In a forked child that leads its session: makes `terminal` the one that its keys and its end are felt in.
void controlTerminal(int terminal);

}  // namespace executor
