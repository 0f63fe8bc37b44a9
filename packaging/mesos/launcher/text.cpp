#include "text.hpp"

#include <sstream>

std::string trimmed(const std::string& text)
{
  const char* blanks = " \t\n\r";
  const size_t begin = text.find_first_not_of(blanks);
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::vector<std::string> split(const std::string& text, char separator)
{
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

bool startsWith(const std::string& text, const std::string& start)
{
  return text.compare(0, start.size(), start) == 0;
}

std::string joinedPath(const std::string& folder, const std::string& name)
{
  return !folder.empty() && folder.back() == '/' ? folder + name : folder + "/" + name;
}

std::string joined(const std::set<std::string>& names)
{
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}
