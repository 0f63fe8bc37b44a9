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

void logInfo(const std::string& message)
{
  google::LogMessage("launcher", 0, google::INFO).stream() << message;
}

void logWarning(const std::string& message)
{
  google::LogMessage("launcher", 0, google::WARNING).stream() << message;
}
