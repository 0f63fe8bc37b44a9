#include "secrets.hpp"

namespace executor {
namespace {

constexpr char kWhere[] = "command.environment";

bool isSecret(const Json& variable) {
  return textOr(variable, "type", "VALUE", kWhere) == "SECRET" || has(variable, "secret");
}

// No error here may quote what it is about.
const Json& carried(const Json& data) {
  if (data.is_null()) {
    throw InvalidField("task.data: must be the JSON of the task's secrets, {\"secrets\": {NAME: VALUE}}");
  }
  return member(data, "secrets", "task.data");
}

}  // namespace

Secrets secretsOf(const Json& task, const Json& data) {
  Secrets secrets;
  const Json& environment = member(member(task, "command", "task"), "environment", "command");
  for (const Json& variable : arrayOf(environment, "variables", kWhere)) {
    if (!isSecret(variable)) continue;
    const std::string name = textOr(variable, "name", "", kWhere);
    const Json& secret = member(variable, "secret", kWhere);
    if (textOr(secret, "type", "", kWhere) != "REFERENCE") {
      throw InvalidField(std::string(kWhere) + " variable '" + name +
                         "' is a secret: must be of type REFERENCE, with its value in task.data");
    }
    const std::string reference = textOr(member(secret, "reference", kWhere), "name", "", kWhere);
    const Json& values = carried(data);
    if (!values.is_object() || !values.contains(reference) || !values[reference].is_string()) {
      throw InvalidField(std::string(kWhere) + " variable '" + name + "' refers to the secret '" + reference +
                         "', which task.data lacks");
    }
    secrets[name] = values[reference].get<std::string>();
  }
  return secrets;
}

Json withoutSecrets(Json inspected, const Secrets& secrets) {
  const Json::json_pointer place("/Config/Env");
  if (secrets.empty() || !inspected.contains(place) || !inspected[place].is_array()) return inspected;
  for (Json& variable : inspected[place]) {
    if (!variable.is_string()) continue;
    const auto text = variable.get<std::string>();
    const std::string name = text.substr(0, text.find('='));
    if (secrets.count(name) > 0) variable = name + "=(secret)";
  }
  return inspected;
}

}  // namespace executor
