// What only a task's executor gets to see of it: TaskInfo.data, which Mesos hands to the executor and shows to nobody.
// Frameworks that know our executors put a JSON object there, of which each part may be missing:
//
//   {"secrets": {"NAME": "value"}, "fetch": [{"value": "https://user:password@host/file", "output_file": "file"}],
//    "exec_key": "a text that nobody guesses"}
//
// `secrets`: variables for the task. `fetch`: Mesos' CommandInfo.URI, for the sandbox. `exec_key`: see exec_sessions.hpp.
#pragma once

#include <map>
#include <string>

#include "json.hpp"

namespace executor {

using Secrets = std::map<std::string, std::string>;

// The object; null when there is none: the data is a matter of the framework's own then.
Json taskData(const Json& task);

// All secrets of such an object. Throws InvalidField when they are not as above.
Secrets carriedSecrets(const Json& data);

}  // namespace executor
