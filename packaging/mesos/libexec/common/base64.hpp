// Base64 (RFC 4648, padded), in which JSON carries Mesos' `bytes` fields.
#pragma once

#include <string>
#include <string_view>

namespace executor {

std::string base64(std::string_view bytes);

// The bytes that `text` stands for. Throws std::invalid_argument when it is no base64.
std::string fromBase64(std::string_view text);

// 16 random bytes as Mesos wants them for a TaskStatus.uuid (version 4, RFC 4122), base64.
std::string randomUuid();

// Another one, as text: "f81d4fae-7dec-4…".
std::string randomUuidText();

}  // namespace executor
