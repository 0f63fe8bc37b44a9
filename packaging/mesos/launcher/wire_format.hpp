// Reading and writing protocol buffers messages without their classes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The contents of all fields `number` of a serialized message, in their order: strings and messages.
std::vector<std::string> fieldsOf(const std::string& message, unsigned number);

// The only or last field `number`, of the type "double", or of an integer type or "bool".
std::optional<double> doubleOf(const std::string& message, unsigned number);
std::optional<uint64_t> integerOf(const std::string& message, unsigned number);

// A field of the types "double", "uint64", and of strings and messages, serialized.
std::string doubleField(unsigned number, double value);
std::string integerField(unsigned number, uint64_t value);
std::string bytesField(unsigned number, const std::string& contents);
