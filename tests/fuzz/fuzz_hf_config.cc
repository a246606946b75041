// A config.json of arbitrary bytes, for a directory whose weights hold nothing.
#include <cstdint>
#include <cstring>

#include "model/hf_spec.h"
#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto weights = [] {
    std::vector<std::byte> bytes(10);
    bytes[0] = std::byte{2};  // of header
    std::memcpy(bytes.data() + 8, "{}", 2);
    return mokume::SafetensorsFile::from_bytes(std::move(bytes), "empty").value();
  }();
  const auto config =
      mokume::JsonConfig::from_text({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (config.ok()) (void)mokume::load_hf_spec(*config, *weights);
  return 0;
}
