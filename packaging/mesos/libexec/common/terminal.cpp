#include "terminal.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace executor {

PseudoTerminal::PseudoTerminal(int64_t rows, int64_t columns) {
  ours = FileDescriptor(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  char name[64];
  if (!ours || grantpt(ours.get()) != 0 || unlockpt(ours.get()) != 0 ||
      ptsname_r(ours.get(), name, sizeof name) != 0 ||
      !(program = FileDescriptor(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)))) {
    throw std::runtime_error(std::string("there is no terminal to be had: ") + std::strerror(errno));
  }
  resize(rows, columns);
}

void PseudoTerminal::resize(int64_t rows, int64_t columns) const {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(rows);
  size.ws_col = static_cast<unsigned short>(columns);
  ioctl(ours.get(), TIOCSWINSZ, &size);
}

void controlTerminal(int terminal) { ioctl(terminal, TIOCSCTTY, 0); }

}  // namespace executor
