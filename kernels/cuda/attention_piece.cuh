// One token's attention over a piece of its positions, by one block: what attention_decode splits a
// context into, and what the exact attention of prompts goes through one after the other.
#pragma once

#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/rows.cuh"

namespace mokume::cuda::MKM_TARGET {

inline constexpr int kPieceThreads = 128;
inline constexpr int kPieceWarps = kPieceThreads / kWarp;
inline constexpr int kPiecePages = kAttentionSplit / 16 + 1;
inline constexpr float kNoScore = -INFINITY;

template <typename T>
inline constexpr Format kFormatOf = Format::kF32;
template <>
inline constexpr Format kFormatOf<Half> = Format::kF16;
template <>
inline constexpr Format kFormatOf<BFloat16> = Format::kBF16;
template <>
inline constexpr Format kFormatOf<int8_t> = Format::kInt8;
template <>
inline constexpr Format kFormatOf<Fp8> = Format::kF8;

/// How a head's row is cut into 16 bytes a lane. In shared memory element e of chunk c lies at
/// e * (chunks + 4) + c, so that neighbouring lanes touch neighbouring banks.
template <typename T>
struct HeadRow {
  static constexpr int kElements = 16 / static_cast<int>(sizeof(T));  ///< of a chunk
  static constexpr int kChunks = sizeof(T) == 4 ? 2 : 1;              ///< of a lane, at most
  static constexpr int kSlots = kMaxHeadDim + 4 * kElements;

  int chunks;
  int lanes;  ///< that share a row: a power of two

  MKM_DEVICE explicit HeadRow(int head_dim) : chunks(head_dim / kElements), lanes(1) {
    while (lanes < chunks && lanes < kWarp) lanes *= 2;
  }
  MKM_DEVICE int slot(int d) const { return d % kElements * (chunks + 4) + d / kElements; }
  MKM_DEVICE int slot(int chunk, int element) const { return element * (chunks + 4) + chunk; }

  /// 16 bytes as floats, without a scale.
  MKM_DEVICE static void unpack(const Words4& words, float (&out)[kElements]) {
    Chunk<kFormatOf<T>> chunk;
    chunk.data = words;
#pragma unroll
    for (int quad = 0; quad < kElements / 4; ++quad) {
      float levels[4];
      chunk.levels(quad, levels);
#pragma unroll
      for (int i = 0; i < 4; ++i) out[4 * quad + i] = levels[i];
    }
  }
};

/// Which queries a block works on: `count` heads from `head` on, all of which read `kv_head`.
struct QueryGroup {
  int token, position, kv_head, head, count;
};

/// What the block has in shared memory, of kQueries queries.
template <typename T, int kQueries>
struct PieceMemory {
  Ptr<float> queries;  ///< [kQueries][kSlots]
  Ptr<float> sums;     ///< likewise: values times probabilities, not divided by the total
  Ptr<float> scores;   ///< [kQueries][kAttentionSplit]
  Ptr<float> scales;   ///< [2][kAttentionSplit]: of keys, of values
  Ptr<int> pages;      ///< [kPiecePages]
  Ptr<float> peaks;    ///< [kQueries]
  Ptr<float> totals;   ///< [kQueries]
};

template <typename T, int kQueries>
struct Piece {
  using Row = HeadRow<T>;
  static constexpr int kElements = Row::kElements;

  const AttentionArgs& args;
  const QueryGroup group;
  const PieceMemory<T, kQueries> memory;
  const Row row;

  /// Once, before any piece.
  MKM_DEVICE void load_queries() const {
    const int dim = args.kv.head_dim;
    const Ptr<const float> q =
        global(args.q) + (static_cast<ptrdiff_t>(group.token) * args.heads + group.head) * dim;
    for (int i = thread_x(); i < kQueries * dim; i += kPieceThreads) {
      float value = 0;
      if (i < group.count * dim) value = q[i];
      memory.queries[i / dim * Row::kSlots + row.slot(i % dim)] = value;
    }
  }

  /// Positions [first, first + count), count <= kAttentionSplit and first a multiple of that.
  /// Leaves sums, peaks and totals; other threads see them after the next sync_block().
  MKM_DEVICE void attend(int first, int count) const {
    load_places(first, count);
    sync_block();
    score(first, count);
    sync_block();
    soften(count);
    sync_block();
    add_values(first, count);
  }

 private:
  MKM_DEVICE ptrdiff_t place(int first, int i) const {
    const KvCache& kv = args.kv;
    const int position = first + i;
    const int page = memory.pages[position / kv.page_tokens - first / kv.page_tokens];
    return (static_cast<ptrdiff_t>(page) * kv.kv_heads + group.kv_head) * kv.page_tokens +
           position % kv.page_tokens;
  }

  /// The pages of the piece, and the scales of its rows.
  MKM_DEVICE void load_places(int first, int count) const {
    const KvCache& kv = args.kv;
    const int sequence = global(args.step.sequences)[group.token];
    const Ptr<const int32_t> table =
        global(args.step.page_table) + static_cast<ptrdiff_t>(sequence) * args.step.page_stride;
    const int first_page = first / kv.page_tokens;
    const int pages = (first + count - 1) / kv.page_tokens - first_page + 1;
    for (int i = thread_x(); i < pages; i += kPieceThreads) {
      const int page = table[first_page + i];
      memory.pages[i] = page;
    }
    if constexpr (sizeof(T) == 1) {
      sync_block();
      for (int i = thread_x(); i < count; i += kPieceThreads) {
        const ptrdiff_t at = place(first, i);
        const float key = global(kv.key_scales)[at], value = global(kv.value_scales)[at];
        memory.scales[i] = key;
        memory.scales[kAttentionSplit + i] = value;
      }
    }
  }

  /// Calls body(i, j, chunk, row) for the lane's chunks of every position i that its warp reads;
  /// after(i) once all of a position's lanes have done theirs. Every lane goes round as often.
  template <typename Body, typename After>
  MKM_DEVICE void each_row(int first, int count, const void* pages, const Body& body,
                           const After& after) const {
    const int rows = kWarp / row.lanes;  // that a warp reads at once
    const Ptr<const T> data = global(static_cast<const T*>(pages));
    for (int base = 0; base < count; base += kPieceWarps * rows) {
      const int i = base + warp_id() * rows + lane_id() / row.lanes;
      if (i < count) {
        const Ptr<const T> at = data + place(first, i) * args.kv.head_dim;
#pragma unroll
        for (int j = 0; j < Row::kChunks; ++j) {
          const int chunk = lane_id() % row.lanes + j * kWarp;
          if (chunk < row.chunks) {
            float values[kElements];
            Row::unpack(load<Words4>(at + chunk * kElements), values);
            body(i, j, values);
          }
        }
      }
      after(i);
    }
  }

  MKM_DEVICE void score(int first, int count) const {
    float query[kQueries][Row::kChunks][kElements];
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
#pragma unroll
      for (int j = 0; j < Row::kChunks; ++j) {
        const int chunk = lane_id() % row.lanes + j * kWarp;
#pragma unroll
        for (int e = 0; e < kElements; ++e) {
          query[q][j][e] = 0;
          if (chunk < row.chunks)
            query[q][j][e] = memory.queries[q * Row::kSlots + row.slot(chunk, e)];
        }
      }
    }
    float dots[kQueries] = {};
    each_row(
        first, count, args.kv.keys,
        [&](int, int j, const float(&key)[kElements]) {
#pragma unroll
          for (int q = 0; q < kQueries; ++q) {
#pragma unroll
            for (int e = 0; e < kElements; ++e) dots[q] = madd(query[q][j][e], key[e], dots[q]);
          }
        },
        [&](int i) {
#pragma unroll
          for (int q = 0; q < kQueries; ++q) {
            float dot = dots[q];
            for (int mask = row.lanes / 2; mask > 0; mask /= 2) dot += shuffle_xor(dot, mask);
            if (i < count && lane_id() % row.lanes == 0) {
              float scale = args.scale;
              if constexpr (sizeof(T) == 1) {
                const float of_key = memory.scales[i];
                scale *= of_key;
              }
              memory.scores[q * kAttentionSplit + i] = dot * scale;
            }
            dots[q] = 0;
          }
        });
  }

  /// Scores to probabilities against the piece's peak, times the values' scales.
  MKM_DEVICE void soften(int count) const {
    for (int q = warp_id(); q < kQueries; q += kPieceWarps) {
      const Ptr<float> scores = memory.scores + q * kAttentionSplit;
      float peak = kNoScore;
      for (int i = lane_id(); i < count; i += kWarp) {
        const float score = scores[i];
        peak = fmaxf(peak, score);
      }
      peak = warp_max(peak);
      float total = 0;
      for (int i = lane_id(); i < count; i += kWarp) {
        const float score = scores[i];
        const float probability = expf(score - peak);
        total += probability;
        float scale = 1;
        if constexpr (sizeof(T) == 1) scale = memory.scales[kAttentionSplit + i];
        scores[i] = probability * scale;
      }
      total = warp_sum(total);
      if (lane_id() == 0) {
        memory.peaks[q] = peak;
        memory.totals[q] = total;
      }
    }
  }

  MKM_DEVICE void add_values(int first, int count) const {
    float sums[kQueries][Row::kChunks][kElements] = {};
    each_row(
        first, count, args.kv.values,
        [&](int i, int j, const float(&value)[kElements]) {
#pragma unroll
          for (int q = 0; q < kQueries; ++q) {
            const float probability = memory.scores[q * kAttentionSplit + i];
#pragma unroll
            for (int e = 0; e < kElements; ++e) {
              sums[q][j][e] = madd(probability, value[e], sums[q][j][e]);
            }
          }
        },
        [](int) {});
    // The rows of a warp, then the warps one after the other.
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
#pragma unroll
      for (int j = 0; j < Row::kChunks; ++j) {
#pragma unroll
        for (int e = 0; e < kElements; ++e) {
          for (int mask = row.lanes; mask < kWarp; mask *= 2) {
            sums[q][j][e] += shuffle_xor(sums[q][j][e], mask);
          }
        }
      }
    }
    for (int warp = 0; warp < kPieceWarps; ++warp) {
      if (warp == warp_id() && lane_id() < row.lanes) add_to_shared(sums, warp == 0);
      sync_block();
    }
  }

  MKM_DEVICE void add_to_shared(const float (&sums)[kQueries][Row::kChunks][kElements],
                                bool is_first) const {
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
#pragma unroll
      for (int j = 0; j < Row::kChunks; ++j) {
        const int chunk = lane_id() + j * kWarp;
        if (chunk >= row.chunks) continue;
#pragma unroll
        for (int e = 0; e < kElements; ++e) {
          const int at = q * Row::kSlots + row.slot(chunk, e);
          float before = 0;
          if (!is_first) before = memory.sums[at];
          memory.sums[at] = before + sums[q][j][e];
        }
      }
    }
  }
};

/// The memory of a piece, declared in the kernel that uses it.
#define MKM_PIECE_MEMORY(T, kQueries, name)                                   \
  MKM_SHARED(float, name##_queries, kQueries* HeadRow<T>::kSlots);            \
  MKM_SHARED(float, name##_sums, kQueries* HeadRow<T>::kSlots);               \
  MKM_SHARED(float, name##_scores, kQueries* kAttentionSplit);                \
  MKM_SHARED(float, name##_scales, sizeof(T) == 1 ? 2 * kAttentionSplit : 1); \
  MKM_SHARED(int, name##_pages, kPiecePages);                                 \
  MKM_SHARED(float, name##_peaks, kQueries);                                  \
  MKM_SHARED(float, name##_totals, kQueries);                                 \
  const PieceMemory<T, kQueries> name = {                                     \
      name##_queries, name##_sums,  name##_scores, name##_scales,             \
      name##_pages,   name##_peaks, name##_totals}

/// Which queries block (x: token, y: head of keys and run of kQueries queries) works on.
template <int kQueries>
MKM_DEVICE QueryGroup query_group(const AttentionArgs& args) {
  const int group = args.heads / args.kv.kv_heads, runs = (group + kQueries - 1) / kQueries;
  const int run = static_cast<int>(block_y()) % runs;
  QueryGroup out;
  out.token = static_cast<int>(block_x());
  out.position = global(args.step.positions)[out.token];
  out.kv_head = static_cast<int>(block_y()) / runs;
  out.head = out.kv_head * group + run * kQueries;
  out.count = group - run * kQueries < kQueries ? group - run * kQueries : kQueries;
  return out;
}

/// out of one head's element d: divided by the total, and gated.
MKM_DEVICE void write_attention(const AttentionArgs& args, ptrdiff_t head, int d, float sum,
                                float total) {
  const ptrdiff_t at = head * args.kv.head_dim + d;
  float value = total > 0 ? sum / total : 0.0f;
  if (args.gate) {
    const float gate = global(args.gate)[at];
    value *= sigmoid(gate);
  }
  global(args.out)[at] = value;
}

/// Calls body.template operator()<T, kQueries>() for the cache's type and the queries of a group.
template <typename Body>
int with_queries(const AttentionArgs& args, const Body& body) {
  const int group = args.heads / args.kv.kv_heads;
  return with_element(args.kv.element, [&]<typename T>() {
    if (group == 1) return body.template operator()<T, 1>();
    if (group == 2) return body.template operator()<T, 2>();
    return body.template operator()<T, 4>();
  });
}

/// Blocks in y for runs of kQueries queries.
template <int kQueries>
unsigned query_runs(const AttentionArgs& args) {
  const int group = args.heads / args.kv.kv_heads;
  return static_cast<unsigned>(args.kv.kv_heads * ((group + kQueries - 1) / kQueries));
}

}  // namespace mokume::cuda::MKM_TARGET
