// Small helpers for flags' values.
#pragma once

#include <set>
#include <string>
#include <vector>

std::string trimmed(const std::string& text);
std::vector<std::string> split(const std::string& text, char separator);
bool startsWith(const std::string& text, const std::string& start);
std::string joinedPath(const std::string& folder, const std::string& name);

// "cpu, memory", or "none"
std::string joined(const std::set<std::string>& names);
