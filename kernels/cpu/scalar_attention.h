// Attention without SIMD: what the other instruction sets are tested against.
#pragma once

#include "kernels/cpu/kv_pages.h"

namespace mokume::kernels::scalar {

// As in CpuKernels.
void kv_append(const KvPages& kv, int page, int offset, const float* k, const float* v);
void attention(const AttentionArgs& args, int kv_head, int token_begin, int token_end);
void attention_part(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                    int part, const AttentionStates& states);
void attention_merge(const AttentionArgs& args, int kv_head, int token_begin, int token_end,
                     const AttentionStates& states);

}  // namespace mokume::kernels::scalar
