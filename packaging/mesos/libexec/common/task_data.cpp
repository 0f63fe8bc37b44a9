#include "task_data.hpp"

#include <stdexcept>

#include "base64.hpp"

namespace executor {

// No error here may quote what it is about.

Json taskData(const Json& task) {
  try {
    Json data = Json::parse(fromBase64(textOr(task, "data", "", "task")));
    return data.is_object() ? data : Json();
  } catch (const std::exception&) {
    return Json();
  }
}

Secrets carriedSecrets(const Json& data) {
  const Json& values = member(data, "secrets", "task.data");
  Secrets secrets;
  if (values.is_null()) return secrets;
  if (!values.is_object()) throw InvalidField("task.data: secrets must be a JSON object of texts");
  for (const auto& [name, value] : values.items()) {
    if (!value.is_string()) throw InvalidField("task.data: the secret '" + name + "' must be a text");
    secrets[name] = value.get<std::string>();
  }
  return secrets;
}

}  // namespace executor
