#include "task_data.hpp"

#include <stdexcept>

#include "base64.hpp"

namespace executor {

Json taskData(const Json& task) {
  try {
    Json data = Json::parse(fromBase64(textOr(task, "data", "", "task")));
    return data.is_object() ? data : Json();
  } catch (const std::exception&) {
    // Not with what the parser says: it quotes the data.
    return Json();
  }
}

}  // namespace executor
