#include "wire_format.hpp"

#include <cstdint>

#include "diagnostics.hpp"

namespace {

constexpr unsigned LENGTH_DELIMITED = 2;

uint64_t readVarint(const std::string& message, size_t& position)
{
  uint64_t value = 0;
  for (unsigned shift = 0; position < message.size(); shift += 7) {
    const auto byte = static_cast<unsigned char>(message[position++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

}

std::vector<std::string> fieldsOf(const std::string& message, unsigned number)
{
  std::vector<std::string> fields;
  for (size_t position = 0; position < message.size();) {
    const uint64_t tag = readVarint(message, position);
    if ((tag & 7) != LENGTH_DELIMITED) fail("Internal error: a field of wire type " + std::to_string(tag & 7));
    const uint64_t length = readVarint(message, position);
    if (tag >> 3 == number) fields.push_back(message.substr(position, length));
    position += length;
  }
  return fields;
}
