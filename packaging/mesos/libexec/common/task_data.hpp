// What only a task's executor gets to see of it: TaskInfo.data, which Mesos hands to the executor and shows to nobody.
// Frameworks that know our executors put a JSON object there:
//
//   {"secrets": {"NAME": "value"}}
#pragma once

#include <map>
#include <string>

#include "json.hpp"

namespace executor {

using Secrets = std::map<std::string, std::string>;

// The object; null when there is none: the data is a matter of the framework's own then.
Json taskData(const Json& task);

}  // namespace executor
