#include "wire_format.hpp"

#include <cstring>

#include "diagnostics.hpp"

namespace {

constexpr unsigned VARINT = 0, FIXED64 = 1, LENGTH_DELIMITED = 2;  // wire types

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

std::string varint(uint64_t value)
{
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

std::string tag(unsigned number, unsigned type)
{
  return varint(number << 3 | type);
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

std::string doubleField(unsigned number, double value)
{
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  return tag(number, FIXED64) + std::string(bytes, sizeof bytes);
}

std::string integerField(unsigned number, uint64_t value)
{
  return tag(number, VARINT) + varint(value);
}
