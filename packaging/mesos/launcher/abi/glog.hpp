// glog, by which Mesos logs; it is a part of libmesos.
#pragma once

#include <ostream>

namespace google {

constexpr int INFO = 0;
constexpr int WARNING = 1;

class LogMessage {
public:
  LogMessage(const char* file, int line, int severity);
  ~LogMessage();  // writes the line
  std::ostream& stream();

private:
  void* members[16];
};

void FlushLogFiles(int minimumSeverity);

}
