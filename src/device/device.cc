#include "device/device.h"

#include "base/checked.h"

namespace mokume {

uint64_t kv_page_bytes(const ModelSpec& spec, int first_layer, int last_layer, int page_tokens,
                       bool exact) {
  uint64_t bytes = 0;
  for (int i = first_layer; i < last_layer; ++i) {
    const auto& attention = std::get<Attention>(spec.layers[i].mixer);
    bytes += 2ull * attention.kv_heads * attention.head_dim * page_tokens * (exact ? 4 : 2);
  }
  return bytes;
}

}  // namespace mokume
