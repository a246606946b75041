// Keys and values in pages, and the attention over them: what the CPU kernels are given.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mokume::kernels {

inline constexpr int kMaxHeadDim = 512;

/// What a key or a value is kept as. Integers have one scale for each position and head: a key of
/// int16 is scaled to the length 32767 (so that products with queries of that length fit int32),
/// everything else to the largest element's being 32767 or 127.
enum class KvType : uint8_t { kF32, kF16, kBF16, kInt16, kInt8 };

constexpr bool has_scales(KvType type) { return type == KvType::kInt16 || type == KvType::kInt8; }

constexpr int element_bytes(KvType type) {
  return type == KvType::kF32 ? 4 : type == KvType::kInt8 ? 1 : 2;
}

/// Keys and values of one layer in pages of `page_tokens` (a multiple of 16) positions.
/// A page's keys lie as [kv_head][page_tokens / 16][head_dim / P][16][P], its values as
/// [kv_head][page_tokens / P][head_dim][P]: P is 2 for integers, whose products are added in pairs,
/// and 1 otherwise.
struct KvPages {
  void* keys = nullptr;
  void* values = nullptr;
  float* key_scales = nullptr;  ///< of integers: a page's are [kv_head][page_tokens]
  float* value_scales = nullptr;
  KvType type = KvType::kF16;
  int page_tokens = 16;
  int kv_heads = 0;
  int head_dim = 0;  ///< a multiple of 16, at most kMaxHeadDim

  int pair() const { return has_scales(type) ? 2 : 1; }
  size_t page_scales() const { return static_cast<size_t>(kv_heads) * page_tokens; }
  size_t page_elements() const { return page_scales() * head_dim; }
  /// Where a position's scale lies, and its key's and its value's element d. Keys and values of 16
  /// positions from a multiple of 16 on are one piece.
  size_t scale_index(int page, int head, int offset) const {
    return page * page_scales() + static_cast<size_t>(head) * page_tokens + offset;
  }
  size_t key_index(int page, int head, int offset, int d) const {
    const int p = pair(), inside = offset % 16;
    return scale_index(page, head, offset - inside) * head_dim +
           static_cast<size_t>(d / p) * 16 * p + inside * p + d % p;
  }
  size_t value_index(int page, int head, int offset, int d) const {
    const int p = pair();
    return scale_index(page, head, offset - offset % p) * head_dim + static_cast<size_t>(d) * p +
           offset % p;
  }
};

/// One sequence's causal attention in one layer.
struct AttentionArgs {
  const float* q = nullptr;  ///< [tokens][heads * head_dim], already rotated
  size_t q_stride = 0;       ///< floats between tokens
  float* out = nullptr;      ///< as q
  size_t out_stride = 0;
  int heads = 0;
  float scale = 0;
  int first_position = 0;          ///< of token 0
  const int32_t* pages = nullptr;  ///< page of positions [i * page_tokens, ...)
  KvPages kv;

  int group() const { return heads / kv.kv_heads; }  ///< query heads that read one kv head
};

/// A context is taken in parts of so many positions, each summed for itself, and then the parts are
/// added in order. Parts may therefore be computed anywhere; the result is the same.
inline constexpr int kAttentionPart = 256;

/// Floats of what one query head has seen of one part: the sums of head_dim elements, 16 sums of
/// probabilities, the largest score.
constexpr size_t attention_state_floats(int head_dim) { return static_cast<size_t>(head_dim) + 32; }

/// States of several parts: of part p, token t (from token_begin on) and query head g of the group
/// at data + p * part_stride + (t * group + g) * attention_state_floats.
struct AttentionStates {
  float* data = nullptr;
  size_t part_stride = 0;
};

}  // namespace mokume::kernels
