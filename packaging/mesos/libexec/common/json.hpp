// Typed access to the JSON of Mesos' and Docker's messages. Absent and null fields give the fallback, fields of
// the wrong type are an InvalidField that names them: messages come from other programs and versions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace executor {

using Json = nlohmann::json;

// A message that can't be honoured: says which field, its value, and what is allowed.
class InvalidField : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The member `key` of `object`, or a null value when there is none. `where` names the object in errors.
const Json& member(const Json& object, const char* key, const std::string& where = "message");

bool has(const Json& object, const char* key);

std::string textOr(const Json& object, const char* key, const std::string& fallback, const std::string& where);
int64_t integerOr(const Json& object, const char* key, int64_t fallback, const std::string& where);
double numberOr(const Json& object, const char* key, double fallback, const std::string& where);
bool boolOr(const Json& object, const char* key, bool fallback, const std::string& where);

// The array `key`, or an empty one.
const Json& arrayOf(const Json& object, const char* key, const std::string& where);

// The {"value": "..."} that Mesos wraps ids in.
std::string idOf(const Json& object, const char* key, const std::string& where);

// Parses a document. Throws InvalidField that names `what`.
Json parseJson(const std::string& document, const std::string& what);

// One line of JSON; bytes that are not UTF-8 (names and output of containers) are replaced, not refused.
std::string dump(const Json& value);

}  // namespace executor
