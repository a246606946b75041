#include "kernels/cpu/scalar_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/half.h"

namespace mokume::kernels::scalar {
namespace {

float load(const void* base, KvType type, size_t index) {
  switch (type) {
    case KvType::kF32:
      return static_cast<const float*>(base)[index];
    case KvType::kF16:
      return half_to_float(static_cast<const uint16_t*>(base)[index]);
    case KvType::kBF16:
      return bfloat16_to_float(static_cast<const uint16_t*>(base)[index]);
    case KvType::kInt16:
      return static_cast<const int16_t*>(base)[index];
    case KvType::kInt8:
      return static_cast<const int8_t*>(base)[index];
  }
  return 0;
}

void store(void* base, KvType type, size_t index, float value) {
  switch (type) {
    case KvType::kF32:
      static_cast<float*>(base)[index] = value;
      break;
    case KvType::kF16:
      static_cast<uint16_t*>(base)[index] = float_to_half(value);
      break;
    case KvType::kBF16:
      static_cast<uint16_t*>(base)[index] = float_to_bfloat16(value);
      break;
    case KvType::kInt16:
      static_cast<int16_t*>(base)[index] = static_cast<int16_t>(std::nearbyint(value));
      break;
    case KvType::kInt8:
      static_cast<int8_t*>(base)[index] = static_cast<int8_t>(std::nearbyint(value));
      break;
  }
}

/// The scale of a row of integers; 1 for other types.
float scale_of(KvType type, bool key, const float* row, int head_dim) {
  if (!has_scales(type)) return 1;
  double squares = 0;
  float largest = 1e-20f;
  for (int d = 0; d < head_dim; ++d) {
    squares += double{row[d]} * row[d];
    largest = std::max(largest, std::fabs(row[d]));
  }
  if (type == KvType::kInt8) return largest / 127;
  return (key ? std::max(1e-20f, static_cast<float>(std::sqrt(squares))) : largest) / 32767;
}

// One query head at one position over one part of it. Scores are computed twice, so that none need
// storing.
void attend(const AttentionArgs& args, int kv_head, const float* q, int position, int part,
            float* state) {
  const KvPages& kv = args.kv;
  const auto page_of = [&](int p) { return args.pages[p / kv.page_tokens]; };
  const auto scale = [&](const float* scales, int p) {
    return has_scales(kv.type) ? scales[kv.scale_index(page_of(p), kv_head, p % kv.page_tokens)]
                               : 1.0f;
  };
  const auto score = [&](int p) {
    double sum = 0;
    for (int d = 0; d < kv.head_dim; ++d) {
      sum += double{q[d]} *
             load(kv.keys, kv.type, kv.key_index(page_of(p), kv_head, p % kv.page_tokens, d));
    }
    return sum * scale(kv.key_scales, p) * args.scale;
  };
  const int begin = part * kAttentionPart, end = std::min(position + 1, begin + kAttentionPart);
  double largest = -std::numeric_limits<double>::infinity();
  for (int p = begin; p < end; ++p) largest = std::max(largest, score(p));
  // What the state holds is relative to the peak as the state has it.
  const float peak = static_cast<float>(largest);
  double total = 0;
  double sums[kMaxHeadDim] = {};
  for (int p = begin; p < end; ++p) {
    const double weight = std::exp(score(p) - peak);
    total += weight;
    for (int d = 0; d < kv.head_dim; ++d) {
      sums[d] +=
          weight * scale(kv.value_scales, p) *
          load(kv.values, kv.type, kv.value_index(page_of(p), kv_head, p % kv.page_tokens, d));
    }
  }
  std::fill_n(state, attention_state_floats(kv.head_dim), 0.0f);
  for (int d = 0; d < kv.head_dim; ++d) state[d] = static_cast<float>(sums[d]);
  state[kv.head_dim] = static_cast<float>(total);
  state[kv.head_dim + 16] = peak;
}

void merge(int head_dim, const float* part, float* state) {
  const float peak = std::max(state[head_dim + 16], part[head_dim + 16]);
  const double old = std::exp(double{state[head_dim + 16]} - peak);
  const double now = std::exp(double{part[head_dim + 16]} - peak);
  for (int d = 0; d <= head_dim; ++d) {
    state[d] = static_cast<float>(state[d] * old + part[d] * now);
  }
  state[head_dim + 16] = peak;
}

/// Calls use(token, head) for every query head of the tokens that reads `kv_head`.
template <typename Use>
void for_heads(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
               const Use& use) {
  for (int t = token_begin; t < token_end; ++t) {
    for (int g = 0; g < args.group(); ++g) use(t, kv_head * args.group() + g);
  }
}

float* state_of(const AttentionArgs& args, const AttentionStates& states, int part, int token,
                int head) {
  const int row = token * args.group() + head % args.group();
  return states.data + part * states.part_stride + row * attention_state_floats(args.kv.head_dim);
}

void finish(const AttentionArgs& args, const float* state, int token, int head) {
  const int head_dim = args.kv.head_dim;
  float* out = args.out + token * args.out_stride + static_cast<size_t>(head) * head_dim;
  for (int d = 0; d < head_dim; ++d) out[d] = state[d] / state[head_dim];
}

}  // namespace

void kv_append(const KvPages& kv, int page, int offset, const float* k, const float* v) {
  for (int h = 0; h < kv.kv_heads; ++h) {
    const float* key = k + static_cast<size_t>(h) * kv.head_dim;
    const float* value = v + static_cast<size_t>(h) * kv.head_dim;
    const float key_scale = scale_of(kv.type, true, key, kv.head_dim);
    const float value_scale = scale_of(kv.type, false, value, kv.head_dim);
    for (int d = 0; d < kv.head_dim; ++d) {
      store(kv.keys, kv.type, kv.key_index(page, h, offset, d), key[d] / key_scale);
      store(kv.values, kv.type, kv.value_index(page, h, offset, d), value[d] / value_scale);
    }
    if (!has_scales(kv.type)) continue;
    kv.key_scales[kv.scale_index(page, h, offset)] = key_scale;
    kv.value_scales[kv.scale_index(page, h, offset)] = value_scale;
  }
}

void attention_part(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                    int part, const AttentionStates& states) {
  for_heads(args, kv_head, token_begin, token_end, [&](int t, int head) {
    const int position = args.first_position + t;
    if (position < part * kAttentionPart) return;
    attend(args, kv_head, args.q + t * args.q_stride + static_cast<size_t>(head) * args.kv.head_dim,
           position, part, state_of(args, states, part, t - token_begin, head));
  });
}

void attention_merge(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                     const AttentionStates& states) {
  float sums[attention_state_floats(kMaxHeadDim)];
  for_heads(args, kv_head, token_begin, token_end, [&](int t, int head) {
    const auto part = [&](int p) { return state_of(args, states, p, t - token_begin, head); };
    std::copy_n(part(0), attention_state_floats(args.kv.head_dim), sums);
    for (int p = 1; p <= (args.first_position + t) / kAttentionPart; ++p)
      merge(args.kv.head_dim, part(p), sums);
    finish(args, sums, t, head);
  });
}

void attention(const AttentionArgs& args, int kv_head, int token_begin, int token_end) {
  float sums[attention_state_floats(kMaxHeadDim)], next[attention_state_floats(kMaxHeadDim)];
  for_heads(args, kv_head, token_begin, token_end, [&](int t, int head) {
    const float* q = args.q + t * args.q_stride + static_cast<size_t>(head) * args.kv.head_dim;
    const int position = args.first_position + t;
    attend(args, kv_head, q, position, 0, sums);
    for (int part = 1; part <= position / kAttentionPart; ++part) {
      attend(args, kv_head, q, position, part, next);
      merge(args.kv.head_dim, next, sums);
    }
    finish(args, sums, t, head);
  });
}

}  // namespace mokume::kernels::scalar
