#include "base64.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace executor {

namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Version 4 of RFC 4122.
std::string uuidBytes() {
  std::string bytes(16, '\0');
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error(std::string("getrandom: ") + std::strerror(errno));
  }
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  return bytes;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    unsigned group = 0;
    for (size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (size_t i = 0; i < 4; ++i) text += i <= count ? alphabet[group >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

std::string fromBase64(std::string_view text) {
  const std::string_view known(alphabet, 64);
  if (text.size() % 4 != 0) throw std::invalid_argument("not base64: its length is not a multiple of four");
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t at = 0; at < text.size(); at += 4) {
    std::string_view quad = text.substr(at, 4);
    if (at + 4 == text.size()) quad = quad.substr(0, quad.find_last_not_of('=') + 1);
    if (quad.size() < 2) throw std::invalid_argument("not base64: too much padding");
    unsigned group = 0;
    for (size_t i = 0; i < 4; ++i) {
      const size_t digit = i < quad.size() ? known.find(quad[i]) : 0;
      if (digit == std::string_view::npos) throw std::invalid_argument("not base64: an unknown letter");
      group = group << 6 | static_cast<unsigned>(digit);
    }
    for (size_t i = 0; i + 1 < quad.size(); ++i) bytes += static_cast<char>(group >> (16 - 8 * i) & 0xff);
  }
  return bytes;
}

std::string randomUuid() { return base64(uuidBytes()); }

std::string randomUuidText() {
  std::string text;
  for (const char byte : uuidBytes()) {
    if (text.size() == 8 || text.size() == 13 || text.size() == 18 || text.size() == 23) text += '-';
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    text += "0123456789abcdef"[static_cast<unsigned char>(byte) & 0xf];
  }
  return text;
}

}  // namespace executor
