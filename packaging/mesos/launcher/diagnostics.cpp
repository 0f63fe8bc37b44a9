#include "diagnostics.hpp"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "abi/glog.hpp"

void fail(const std::string& message)
{
  std::cerr << message << std::endl;
  google::FlushLogFiles(google::INFO);
  _exit(EXIT_FAILURE);
}

void logInfo(const std::string& message, const char* file, int line)
{
  google::LogMessage(file, line, google::INFO).stream() << message;
}

void logWarning(const std::string& message, const char* file, int line)
{
  google::LogMessage(file, line, google::WARNING).stream() << message;
}
