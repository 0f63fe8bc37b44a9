#include "json.hpp"

namespace executor {
namespace {

const Json kNull;
const Json kEmptyArray = Json::array();

[[noreturn]] void wrongType(const std::string& where, const char* key, const char* expected) {
  throw InvalidField(where + "." + key + " must be " + expected);
}

}  // namespace

const Json& member(const Json& object, const char* key, const std::string& where) {
  if (object.is_null()) return kNull;
  if (!object.is_object()) throw InvalidField(where + " must be an object");
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

bool has(const Json& object, const char* key) { return !member(object, key).is_null(); }

std::string textOr(const Json& object, const char* key, const std::string& fallback, const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return fallback;
  if (!value.is_string()) wrongType(where, key, "a string");
  return value.get<std::string>();
}

int64_t integerOr(const Json& object, const char* key, int64_t fallback, const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return fallback;
  if (!value.is_number_integer()) wrongType(where, key, "a whole number");
  return value.get<int64_t>();
}

double numberOr(const Json& object, const char* key, double fallback, const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return fallback;
  if (!value.is_number()) wrongType(where, key, "a number");
  return value.get<double>();
}

bool boolOr(const Json& object, const char* key, bool fallback, const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return fallback;
  if (!value.is_boolean()) wrongType(where, key, "true or false");
  return value.get<bool>();
}

const Json& arrayOf(const Json& object, const char* key, const std::string& where) {
  const Json& value = member(object, key, where);
  if (value.is_null()) return kEmptyArray;
  if (!value.is_array()) wrongType(where, key, "a list");
  return value;
}

std::string idOf(const Json& object, const char* key, const std::string& where) {
  return textOr(member(object, key, where), "value", "", where + "." + key);
}

Json parseJson(const std::string& document, const std::string& what) {
  try {
    return Json::parse(document);
  } catch (const Json::exception& error) {
    throw InvalidField(what + " is not JSON: " + error.what());
  }
}

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace executor
