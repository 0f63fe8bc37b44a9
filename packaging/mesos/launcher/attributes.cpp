#include "attributes.hpp"

#include "abi/mesos.hpp"
#include "diagnostics.hpp"
#include "text.hpp"

namespace {

bool isValue(const std::string& text)
{
  // Never destroyed: where the error stands behind a value is not known here. Sets are values, but no attributes.
  auto* parsed = new Try<mesos::Value>(mesos::internal::values::parse(text));
  return parsed->isSome() && trimmed(text).front() != '{';
}

}

void checkAttributes(const FlagValues& flags)
{
  for (const std::string& line : split(flags.text("attributes"), '\n'))
    for (const std::string& attribute : split(line, ';')) {
      if (attribute.empty()) continue;
      const size_t colon = attribute.find(':');
      if (colon == std::string::npos || colon == 0 || !isValue(attribute.substr(colon + 1)))
        fail(
            "Invalid --attributes: '" + attribute +
            "' is not of the form NAME:VALUE, where a value is a text, a number, or ranges such as [1-5,7-9]");
    }
}
