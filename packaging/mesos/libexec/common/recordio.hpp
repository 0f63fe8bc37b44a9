// The framing of the agent's event stream: "<length in decimal>\n<that many bytes>", again and again.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace executor {

class RecordDecoder {
 public:
  // Takes bytes as they come and returns the records that are complete now.
  // Throws std::runtime_error for bytes that can't be a stream of records; the decoder is of no use then.
  std::vector<std::string> feed(std::string_view bytes);

 private:
  std::string buffer_;
  size_t wanted_ = 0;  // length of the record being read; 0 while reading a length
};

}  // namespace executor
