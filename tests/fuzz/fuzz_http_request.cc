// The decoders of request bodies, and the path of a request target, on any bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/decode.h"
#include "http/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  (void)mokume::decode_chat(body);
  (void)mokume::decode_completion(body);
  (void)mokume::decode_tokenize(body);
  (void)mokume::decode_detokenize(body);
  (void)mokume::target_path(body);
  return 0;
}
