// Being told when the kernel changes a file of a control group.
#pragma once

#include <functional>
#include <string>

// Calls `changed` at once, and after each change of the file `path` in a thread that all share.
void watchFile(const std::string& path, const std::function<void()>& changed);

void forgetFile(const std::string& path);
