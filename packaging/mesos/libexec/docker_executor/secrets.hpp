// Secrets of a task: environment variables whose values only its container gets to see.
//
// The environment of a TaskInfo ends in the agent's files and in its API, whatever a variable's type is. So a variable
// of type SECRET only refers to its value by name, and the values travel in TaskInfo.data.
#pragma once

#include "json.hpp"
#include "task_data.hpp"

namespace executor {

// The values that the task carries in its data. Throws InvalidField when it refers to secrets but its data is not as above.
Secrets secretsOf(const Json& task, const Json& data);

// The container as the engine describes it, without the values of these variables.
Json withoutSecrets(Json inspected, const Secrets& secrets);

}  // namespace executor
