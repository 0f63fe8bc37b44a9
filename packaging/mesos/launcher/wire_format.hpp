// Reading and writing protocol buffers messages without their classes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

// The contents of all fields `number` of a serialized message, in their order. The message may only have fields of
// the wire type "length-delimited" (strings and messages).
std::vector<std::string> fieldsOf(const std::string& message, unsigned number);

// A field of the types "double" and "uint64", serialized.
std::string doubleField(unsigned number, double value);
std::string integerField(unsigned number, uint64_t value);
