// Reading a protocol buffers message without its class.
#pragma once

#include <string>
#include <vector>

// The contents of all fields `number` of a serialized message, in their order. The message may only have fields of
// the wire type "length-delimited" (strings and messages).
std::vector<std::string> fieldsOf(const std::string& message, unsigned number);
