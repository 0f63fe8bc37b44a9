#include "recordio.hpp"

#include <charconv>
#include <stdexcept>

namespace executor {
namespace {

// A task's JSON is kilobytes; a length beyond this is another protocol's data, and must not become an allocation.
constexpr size_t kLongestRecord = size_t{128} << 20;
constexpr size_t kLongestHeader = 20;  // digits of 2^64

size_t parseLength(std::string_view header) {
  size_t length = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), length);
  if (error != std::errc() || end != header.data() + header.size() || length == 0 || length > kLongestRecord) {
    throw std::runtime_error("the agent's event stream has a bad record length '" + std::string(header) + "'");
  }
  return length;
}

}  // namespace

std::vector<std::string> RecordDecoder::feed(std::string_view bytes) {
  std::vector<std::string> records;
  buffer_.append(bytes);
  size_t at = 0;
  while (true) {
    if (wanted_ == 0) {
      const size_t newline = buffer_.find('\n', at);
      const size_t headerLength = (newline == std::string::npos ? buffer_.size() : newline) - at;
      if (headerLength > kLongestHeader) {
        throw std::runtime_error("the agent's event stream has no record length where one must be");
      }
      if (newline == std::string::npos) break;
      wanted_ = parseLength(std::string_view(buffer_).substr(at, headerLength));
      at = newline + 1;
    }
    if (buffer_.size() - at < wanted_) break;
    records.emplace_back(buffer_, at, wanted_);
    at += wanted_;
    wanted_ = 0;
  }
  buffer_.erase(0, at);
  if (buffer_.empty()) buffer_.shrink_to_fit();  // a large task's JSON need not stay resident
  return records;
}

}  // namespace executor
