// Attention of prompts: tensor cores over tiles of 64 query rows and 32 positions, with online
// softmax. Rows of a tile are the heads that read one head of keys, then the next token's. A row's
// sums go over the same tiles of positions whatever rows are beside it: a tile past its own
// position has probability 0 and leaves it as it is.
//
// With keys and values in float32, and so for exact results, each token goes through its pieces of
// positions one after the other instead.
#include "kernels/cuda/attention_piece.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {
namespace {

constexpr int kThreads = 128;
constexpr int kWarpRows = 16;
constexpr int kTileRows = kThreads / kWarp * kWarpRows;
constexpr int kTileKeys = 32;
constexpr int kPadding = 8;  // elements at the end of a row in shared memory: no bank conflicts

/// What the tensor cores take: bfloat16 where keys and values are, else halves.
template <typename T>
struct OperandOf {
  using Type = Half;
};
template <>
struct OperandOf<BFloat16> {
  using Type = BFloat16;
};

template <typename Operand>
MKM_DEVICE uint32_t pack(float low, float high) {
  return from_float<Operand>(low).bits |
         (static_cast<uint32_t>(from_float<Operand>(high).bits) << 16);
}
MKM_DEVICE void multiply(Half, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_f16(d, a, b);
}
MKM_DEVICE void multiply(BFloat16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_bf16(d, a, b);
}

/// The sequence, and the rows of it, that a block works on.
struct Tile {
  int first_token = 0;
  int tokens = 0;  ///< of the sequence
  int sequence = 0;
  int first_row = 0;
  bool found = false;
};

MKM_DEVICE Tile find_tile(const AttentionArgs& args) {
  const Ptr<const int32_t> first_tokens = global(args.step.first_tokens);
  const int group = args.heads / args.kv.kv_heads;
  int index = static_cast<int>(block_x());
  Tile tile;
  for (int s = 0; s < args.step.sequence_count; ++s) {
    const int begin = first_tokens[s], end = first_tokens[s + 1];
    const int tiles = ((end - begin) * group + kTileRows - 1) / kTileRows;
    if (index < tiles) {
      tile = {begin, end - begin, s, index * kTileRows, true};
      break;
    }
    index -= tiles;
  }
  return tile;
}

template <typename T>
struct TileMemory {
  Ptr<uint16_t> queries;  ///< [kTileRows][stride]
  Ptr<uint16_t> keys;     ///< [kTileKeys][stride]
  Ptr<uint16_t> values;   ///< likewise
  int stride;
};

template <typename T>
MKM_DEVICE void load_queries(const AttentionArgs& args, const Tile& tile, int kv_head,
                             const TileMemory<T>& memory) {
  using Operand = typename OperandOf<T>::Type;
  const int dim = args.kv.head_dim, group = args.heads / args.kv.kv_heads;
  for (int i = 4 * thread_x(); i < kTileRows * dim; i += 4 * kThreads) {
    const int r = i / dim, row = tile.first_row + r;
    Float4 q = {};
    if (row < tile.tokens * group) {
      const ptrdiff_t head =
          static_cast<ptrdiff_t>(tile.first_token + row / group) * args.heads + kv_head * group;
      q = load<Float4>(global(args.q) + (head + row % group) * dim + i % dim);
    }
    store(memory.queries + r * memory.stride + i % dim,
          Words2{{pack<Operand>(q.x, q.y), pack<Operand>(q.z, q.w)}});
  }
}

/// 16 bytes of a row of keys or values, as operands.
template <typename T>
MKM_DEVICE void store_operands(Ptr<uint16_t> out, const Words4& words, float scale) {
  using Operand = typename OperandOf<T>::Type;
  if constexpr (sizeof(T) == 2) {
    store(out, words);
  } else {
    float values[16];
    HeadRow<T>::unpack(words, values);
#pragma unroll
    for (int i = 0; i < 16; i += 8) {
      Words4 packed;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        packed.w[j] = pack<Operand>(values[i + 2 * j] * scale, values[i + 2 * j + 1] * scale);
      }
      store(out + i, packed);
    }
  }
}

/// Positions [first, first + kTileKeys); those from `limit` on become zero.
template <typename T>
MKM_DEVICE void load_keys(const AttentionArgs& args, int sequence, int kv_head, int first,
                          int limit, const TileMemory<T>& memory) {
  constexpr int kElements = HeadRow<T>::kElements;
  const KvCache& kv = args.kv;
  const int chunks = kv.head_dim / kElements;
  const Ptr<const int32_t> table =
      global(args.step.page_table) + static_cast<ptrdiff_t>(sequence) * args.step.page_stride;
  for (int i = thread_x(); i < kTileKeys * chunks; i += kThreads) {
    const int row = i / chunks, element = i % chunks * kElements, position = first + row;
    Words4 key = {}, value = {};
    float key_scale = 1, value_scale = 1;
    if (position < limit) {
      const int page = table[position / kv.page_tokens];
      const ptrdiff_t at = (static_cast<ptrdiff_t>(page) * kv.kv_heads + kv_head) * kv.page_tokens +
                           position % kv.page_tokens;
      key = load<Words4>(global(static_cast<const T*>(kv.keys)) + at * kv.head_dim + element);
      value = load<Words4>(global(static_cast<const T*>(kv.values)) + at * kv.head_dim + element);
      if constexpr (sizeof(T) == 1) {
        key_scale = global(kv.key_scales)[at];
        value_scale = global(kv.value_scales)[at];
      }
    }
    const int out = row * memory.stride + element;
    store_operands<T>(memory.keys + out, key, key_scale);
    store_operands<T>(memory.values + out, value, value_scale);
  }
}

/// The rows of one warp: lane 4 g + t has rows g and g + 8, of scores and sums the columns 2t and
/// 2t + 1 of every 8.
template <typename T, int kMaxTiles>
struct WarpRows {
  using Operand = typename OperandOf<T>::Type;
  float sums[kMaxTiles][4] = {};
  float peak[2] = {kNoScore, kNoScore};
  float total[2] = {0, 0};  // of the lane's columns
  int position[2];          // -1: no such row

  MKM_DEVICE void score(const TileMemory<T>& memory, int dim, float (&s)[4][4]) const {
    const int g = lane_id() / 4, t = lane_id() % 4;
    const Ptr<uint16_t> q = memory.queries + (warp_id() * kWarpRows + g) * memory.stride + 2 * t;
    const Ptr<uint16_t> k = memory.keys + g * memory.stride + 2 * t;
    for (int d = 0; d < dim; d += 16) {
      const uint32_t a[4] = {load<uint32_t>(q + d), load<uint32_t>(q + 8 * memory.stride + d),
                             load<uint32_t>(q + d + 8),
                             load<uint32_t>(q + 8 * memory.stride + d + 8)};
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const Ptr<uint16_t> key = k + 8 * n * memory.stride + d;
        const uint32_t b[2] = {load<uint32_t>(key), load<uint32_t>(key + 8)};
        multiply(Operand{}, s[n], a, b);
      }
    }
  }

  /// Scores to probabilities against the rows' peaks so far.
  MKM_DEVICE void soften(int first, float scale, int tiles, float (&s)[4][4]) {
    const int t = lane_id() % 4;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = kNoScore;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float& score = s[n][2 * r + c];
          score = first + 8 * n + 2 * t + c <= position[r] ? score * scale : kNoScore;
          largest = fmaxf(largest, score);
        }
      }
      largest = fmaxf(largest, shuffle_xor(largest, 1));
      largest = fmaxf(largest, shuffle_xor(largest, 2));
      const float now = fmaxf(peak[r], largest);
      const float base = now == kNoScore ? 0.0f : now;
      const float factor = expf(peak[r] - base);
      peak[r] = now;
      total[r] *= factor;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float& score = s[n][2 * r + c];
          score = expf(score - base);
          total[r] += score;
        }
      }
#pragma unroll
      for (int n = 0; n < kMaxTiles; ++n) {
        if (n < tiles) {
          sums[n][2 * r] *= factor;
          sums[n][2 * r + 1] *= factor;
        }
      }
    }
  }

  MKM_DEVICE void add_values(const TileMemory<T>& memory, int tiles, const float (&s)[4][4]) {
    const int g = lane_id() / 4, t = lane_id() % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float(&left)[4] = s[2 * half];
      const float(&right)[4] = s[2 * half + 1];
      const uint32_t a[4] = {pack<Operand>(left[0], left[1]), pack<Operand>(left[2], left[3]),
                             pack<Operand>(right[0], right[1]), pack<Operand>(right[2], right[3])};
      const Ptr<uint16_t> v = memory.values + (16 * half + 2 * t) * memory.stride + g;
#pragma unroll
      for (int n = 0; n < kMaxTiles; ++n) {
        if (n < tiles) {
          const Ptr<uint16_t> value = v + 8 * n;
          const uint16_t v0 = value[0], v1 = value[memory.stride], v8 = value[8 * memory.stride],
                         v9 = value[9 * memory.stride];
          const uint32_t b[2] = {v0 | (static_cast<uint32_t>(v1) << 16),
                                 v8 | (static_cast<uint32_t>(v9) << 16)};
          multiply(Operand{}, sums[n], a, b);
        }
      }
    }
  }

  MKM_DEVICE void finish() {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      total[r] += shuffle_xor(total[r], 1);
      total[r] += shuffle_xor(total[r], 2);
    }
  }
};

template <typename T, int kMaxTiles>
MKM_KERNEL(kThreads)
attention_prefill_kernel(AttentionArgs args) {
  wait_for_previous();
  MKM_DYNAMIC_SHARED(shared);
  const int dim = args.kv.head_dim, group = args.heads / args.kv.kv_heads;
  const int kv_head = static_cast<int>(block_y());
  TileMemory<T> memory;
  memory.stride = dim + kPadding;
  memory.queries = cast<uint16_t>(shared);
  memory.keys = memory.queries + kTileRows * memory.stride;
  memory.values = memory.keys + kTileKeys * memory.stride;

  const Tile tile = find_tile(args);
  if (tile.found) {  // the same for the whole block
    const int first_position = global(args.step.positions)[tile.first_token];
    const int rows = tile.tokens * group;
    const auto position_of = [&](int row) {
      return row < rows ? first_position + row / group : -1;
    };
    const int last = tile.first_row + kTileRows < rows ? tile.first_row + kTileRows : rows;
    const int limit = position_of(last - 1) + 1;
    load_queries(args, tile, kv_head, memory);

    WarpRows<T, kMaxTiles> warp;
    const int row = tile.first_row + warp_id() * kWarpRows + lane_id() / 4;
    warp.position[0] = position_of(row);
    warp.position[1] = position_of(row + 8);
    for (int first = 0; first < limit; first += kTileKeys) {
      sync_block();  // the tile before is no longer read
      load_keys(args, tile.sequence, kv_head, first, limit, memory);
      sync_block();
      float scores[4][4] = {};
      warp.score(memory, dim, scores);
      warp.soften(first, args.scale, dim / 8, scores);
      warp.add_values(memory, dim / 8, scores);
    }
    warp.finish();

#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int at = row + 8 * r;
      const ptrdiff_t head = static_cast<ptrdiff_t>(tile.first_token + at / group) * args.heads +
                             kv_head * group + at % group;
#pragma unroll
      for (int n = 0; n < kMaxTiles; ++n) {
        if (n < dim / 8 && at < rows) {
          const int d = 8 * n + 2 * (lane_id() % 4);
          write_attention(args, head, d, warp.sums[n][2 * r], warp.total[r]);
          write_attention(args, head, d + 1, warp.sums[n][2 * r + 1], warp.total[r]);
        }
      }
    }
  }
}

template <typename T>
int launch_tiles(const AttentionArgs& args, Stream stream) {
  const int dim = args.kv.head_dim, group = args.heads / args.kv.kv_heads;
  const size_t shared =
      sizeof(uint16_t) * (kTileRows + 2 * kTileKeys) * static_cast<size_t>(dim + kPadding);
  const Grid grid = {static_cast<unsigned>((args.step.tokens * group + kTileRows - 1) / kTileRows +
                                           args.step.sequence_count),
                     static_cast<unsigned>(args.kv.kv_heads)};
  const auto run = [&](auto kernel) {
    return launch(stream, "attention_prefill", kernel, grid, kThreads, shared, args);
  };
  if (dim <= 64) return run(attention_prefill_kernel<T, 8>);
  if (dim <= 128) return run(attention_prefill_kernel<T, 16>);
  return run(attention_prefill_kernel<T, 32>);
}

/// One token's queries of one head of keys, all positions.
template <int kQueries>
MKM_KERNEL_BLOCKS(kPieceThreads, 4)  // with fewer registers some GPUs' would spill
attention_exact_kernel(AttentionArgs args) {
  wait_for_previous();
  MKM_PIECE_MEMORY(float, kQueries, memory);
  constexpr int kSlots = HeadRow<float>::kSlots;
  constexpr int kOwn = (kQueries * kMaxHeadDim + kPieceThreads - 1) / kPieceThreads;
  const QueryGroup group = query_group<kQueries>(args);
  const int dim = args.kv.head_dim;
  const Piece<float, kQueries> piece = {args, group, memory, HeadRow<float>(dim)};
  float sums[kOwn] = {}, totals[kOwn] = {}, peaks[kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; ++i) peaks[i] = kNoScore;

  piece.load_queries();
  for (int first = 0; first <= group.position; first += kAttentionSplit) {
    const int left = group.position + 1 - first;
    piece.attend(first, left < kAttentionSplit ? left : kAttentionSplit);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int at = static_cast<int>(thread_x()) + i * kPieceThreads;
      if (at < group.count * dim) {
        const float sum = memory.sums[at / dim * kSlots + piece.row.slot(at % dim)];
        const float total = memory.totals[at / dim], peak = memory.peaks[at / dim];
        const float now = fmaxf(peaks[i], peak);
        const float before = expf(peaks[i] - now), factor = expf(peak - now);
        sums[i] = madd(factor, sum, sums[i] * before);
        totals[i] = madd(factor, total, totals[i] * before);
        peaks[i] = now;
      }
    }
    sync_block();
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const int at = static_cast<int>(thread_x()) + i * kPieceThreads;
    if (at < group.count * dim) {
      write_attention(args,
                      static_cast<ptrdiff_t>(group.token) * args.heads + group.head + at / dim,
                      at % dim, sums[i], totals[i]);
    }
  }
}

int launch_exact(const AttentionArgs& args, Stream stream) {
  const auto run = [&]<int kQueries>() {
    const Grid grid = {static_cast<unsigned>(args.step.tokens), query_runs<kQueries>(args)};
    return launch(stream, "attention_exact", attention_exact_kernel<kQueries>, grid, kPieceThreads,
                  0, args);
  };
  const int group = args.heads / args.kv.kv_heads;
  if (group == 1) return run.template operator()<1>();
  if (group == 2) return run.template operator()<2>();
  return run.template operator()<4>();
}

}  // namespace

int attention_prefill(const AttentionArgs& args, Stream stream) {
  if (args.step.tokens == 0) return 0;
  switch (args.kv.element) {
    case Element::kF32:
      return launch_exact(args, stream);
    case Element::kF16:
      return launch_tiles<Half>(args, stream);
    case Element::kBF16:
      return launch_tiles<BFloat16>(args, stream);
    case Element::kInt8:
      return launch_tiles<int8_t>(args, stream);
    default:
      return launch_tiles<Fp8>(args, stream);
  }
}

}  // namespace mokume::cuda::MKM_TARGET
