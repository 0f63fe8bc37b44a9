// Small helpers for flags' values.
#pragma once

#include <string>
#include <vector>

std::string trimmed(const std::string& text);
std::vector<std::string> split(const std::string& text, char separator);
std::string joinedPath(const std::string& folder, const std::string& name);
