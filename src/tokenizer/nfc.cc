#include "tokenizer/nfc.h"

#include <uninorm.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace mokume {
namespace {

/// Characters below U+0300 never combine with what is before them, and are composed already. In
/// UTF-8 they have no byte from 0xCC on.
bool is_plainly_nfc(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0xCC; });
}

struct Free {
  void operator()(uint8_t* p) const { std::free(p); }
};

}  // namespace

Result<std::string> normalize_nfc(std::string_view text) {
  if (is_plainly_nfc(text)) return std::string(text);
  size_t size = 0;
  const std::unique_ptr<uint8_t, Free> composed(u8_normalize(
      UNINORM_NFC, reinterpret_cast<const uint8_t*>(text.data()), text.size(), nullptr, &size));
  if (composed == nullptr) return resource_exhausted("tokenizer", "no memory to normalize text");
  return std::string(reinterpret_cast<const char*>(composed.get()), size);
}

}  // namespace mokume
