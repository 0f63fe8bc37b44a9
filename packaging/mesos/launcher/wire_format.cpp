#include "wire_format.hpp"

#include <cstring>

#include "diagnostics.hpp"

namespace {

constexpr unsigned VARINT = 0, FIXED64 = 1, LENGTH_DELIMITED = 2, FIXED32 = 5;  // wire types

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

struct Field {
  unsigned number;
  unsigned type;
  uint64_t integer;      // of VARINT
  std::string contents;  // of the other types
};

std::vector<Field> parsed(const std::string& message)
{
  std::vector<Field> fields;
  for (size_t position = 0; position < message.size();) {
    const uint64_t tag = readVarint(message, position);
    Field field = {static_cast<unsigned>(tag >> 3), static_cast<unsigned>(tag & 7), 0, ""};
    if (field.type == VARINT) {
      field.integer = readVarint(message, position);
    } else {
      size_t length = 0;
      if (field.type == LENGTH_DELIMITED)
        length = readVarint(message, position);
      else if (field.type == FIXED64)
        length = 8;
      else if (field.type == FIXED32)
        length = 4;
      else
        fail("Internal error: a field of wire type " + std::to_string(field.type));
      field.contents = message.substr(position, length);
      position += length;
    }
    fields.push_back(field);
  }
  return fields;
}

}

std::vector<std::string> fieldsOf(const std::string& message, unsigned number)
{
  std::vector<std::string> contents;
  for (const Field& field : parsed(message))
    if (field.number == number && field.type == LENGTH_DELIMITED) contents.push_back(field.contents);
  return contents;
}

std::optional<double> doubleOf(const std::string& message, unsigned number)
{
  std::optional<double> found;
  for (const Field& field : parsed(message)) {
    if (field.number != number || field.type != FIXED64) continue;
    double value;
    std::memcpy(&value, field.contents.data(), sizeof value);
    found = value;
  }
  return found;
}

std::optional<uint64_t> integerOf(const std::string& message, unsigned number)
{
  std::optional<uint64_t> found;
  for (const Field& field : parsed(message))
    if (field.number == number && field.type == VARINT) found = field.integer;
  return found;
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

std::string bytesField(unsigned number, const std::string& contents)
{
  return tag(number, LENGTH_DELIMITED) + varint(contents.size()) + contents;
}
