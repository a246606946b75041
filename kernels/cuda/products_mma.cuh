// Products for 1..16 tokens on tensor cores: rows of the matrix are the left operand, dequantized
// to halves in registers, eight or sixteen tokens the right one. Each weight is read once, 16 bytes
// a lane.
//
// A block of 8 warps computes 32 rows: two tiles of 16, each by four warps that share it along K.
// Of every 512 bytes of a row ("a tile") a warp takes 128: two stripes of 64, of which each of the
// four lanes of a row reads 16. So the columns that one multiplication adds up are not next to each
// other; the input lies in shared memory in the order in which lanes want it ("planes" of 16 bytes
// a lane). While a tile is worked on, the weights of the next are on their way.
//
// Inputs are rounded to halves, 128 columns of a token ("a segment") times a power of two of their
// own that brings the largest below 2^15; sums are float32. With matrices in bfloat16 an input is
// the sum of two bfloat16 instead. A row's sum is added along a warp's columns, then over the four
// warps. Nothing in it depends on how many tokens there are or which: a token has the same bits in
// every batch.
#pragma once

#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

inline constexpr int kRowTiles = 2;
inline constexpr int kParts = kProductWarps / kRowTiles;  ///< warps that share a tile of rows
inline constexpr int kMmaRows = 16 * kRowTiles;           ///< of a block
inline constexpr int kStripes = 2;                        ///< of a warp, in a tile
inline constexpr int kSegment = 128;                      ///< columns
inline constexpr int kMmaPitch = kMmaRows + 4;            ///< of sums in shared memory

/// The tile's input, and what its rows' groups are scaled by, in shared memory.
template <Format kFormat, int kTokens>
struct MmaTile {
  using C = Chunk<kFormat>;
  static constexpr int kColumns = 4 * kStripes * kParts * C::kColumns;
  static constexpr int kSegments = kColumns / kSegment;
  static constexpr bool kTwoParts = kFormat == Format::kBF16;
  static constexpr int kPlanes = kColumns / 32;
  static constexpr int kStripePlanes = C::kColumns / 8;
  /// Padded so that the quads that neighbouring lanes store lie in different banks.
  static constexpr int kPlane = kTokens * 64 + (C::kColumns == 32 ? 32 : 64);
  static constexpr int kInputBytes = kPlanes * kPlane * (kTwoParts ? 2 : 1);
  static constexpr int kSumBytes = kParts * kTokens * kMmaPitch * static_cast<int>(sizeof(float));
  /// Sums come after the last tile, into the same memory.
  static constexpr size_t kBytes = kInputBytes > kSumBytes ? kInputBytes : kSumBytes;

  Ptr<uint8_t> planes;
  Ptr<float> inverses;  ///< [segment][token]: 1 / the power of two

  /// The lane's four columns of a segment. Reached by whole warps.
  MKM_DEVICE void put(int token, int segment, Float4 v) const {
    const int column = segment * kSegment + 4 * lane_id();
    const int stripe = column / (4 * C::kColumns), within = column % C::kColumns;
    const int plane = stripe * kStripePlanes + within / 8;
    const Ptr<uint8_t> at =
        planes + plane * kPlane + token * 64 + column / C::kColumns % 4 * 16 + within % 8 * 2;
    if constexpr (kTwoParts) {
      const auto rest = [](float x) { return x - bits_to_float(float_to_bits(x) & 0xffff0000u); };
      const auto pack = [](float low, float high) {
        return from_float<BFloat16>(low).bits |
               (static_cast<uint32_t>(from_float<BFloat16>(high).bits) << 16);
      };
      store(at, Words2{{pick_bytes(float_to_bits(v.x), float_to_bits(v.y), 0x7632u),
                        pick_bytes(float_to_bits(v.z), float_to_bits(v.w), 0x7632u)}});
      store(at + kPlanes * kPlane,
            Words2{{pack(rest(v.x), rest(v.y)), pack(rest(v.z), rest(v.w))}});
    } else {
      const float most = fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
      uint32_t exponent = warp_max_bits(float_to_bits(most)) >> 23;
      exponent = exponent < 15 ? 15 : exponent;                   // what is smaller becomes 0
      const float scale = bits_to_float((268 - exponent) << 23);  // to [2^14, 2^15)
      v = {v.x * scale, v.y * scale, v.z * scale, v.w * scale};
      store(at, Fragment<kFormat>::kInterleaved
                    ? Words2{{pack_half(v.x, v.z), pack_half(v.y, v.w)}}
                    : Words2{{pack_half(v.x, v.y), pack_half(v.z, v.w)}});
      if (lane_id() == 0) {
        inverses[segment * kTokens + token] = bits_to_float((exponent - 14) << 23);
      }
    }
  }

  /// Sums of a stripe: left operands are the lane's chunks of a row and of the one 8 below.
  MKM_DEVICE void multiply(const Words4& upper, const Fragment<kFormat>& upper_of,
                           const Words4& lower, const Fragment<kFormat>& lower_of, int stripe,
                           float (&sums)[kTokens / 8][4]) const {
#pragma unroll
    for (int p = 0; p < kStripePlanes; ++p) {
      const Ptr<uint8_t> at = planes + (stripe * kStripePlanes + p) * kPlane + 16 * lane_id();
      Words4 input[kTokens / 8], rest[kTokens / 8];
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n) {
        input[n] = load<Words4>(at + n * 512);
        if constexpr (kTwoParts) rest[n] = load<Words4>(at + kPlanes * kPlane + n * 512);
      }
#pragma unroll
      for (int q = 0; q < 2; ++q) {
        uint32_t u[2], l[2];
        upper_of.quad(upper, 2 * p + q, u);
        lower_of.quad(lower, 2 * p + q, l);
        const uint32_t a[4] = {u[0], l[0], u[1], l[1]};
#pragma unroll
        for (int n = 0; n < kTokens / 8; ++n) {
          const uint32_t b[2] = {input[n].w[2 * q], input[n].w[2 * q + 1]};
          if constexpr (kTwoParts) {
            const uint32_t c[2] = {rest[n].w[2 * q], rest[n].w[2 * q + 1]};
            mma_bf16(sums[n], a, b);
            mma_bf16(sums[n], a, c);
          } else {
            mma_f16(sums[n], a, b);
          }
        }
      }
    }
  }
};

/// Scales (or minimums) of the block's rows in a tile: 16 bits for 32 columns.
template <int kTileColumns>
struct RowGroups {
  static constexpr int kGroups = kTileColumns / 32;
  static constexpr int kPasses = kMmaRows * kGroups / kProductThreads;
  static constexpr int kPitch = 36;  // so that the rows of a warp's lanes lie in different banks
  static constexpr int kElements = kMmaRows * kPitch;

  Ptr<const uint16_t*> rows;  ///< [kMmaRows], in shared memory; null: there is no such row
  Ptr<uint16_t> values;       ///< [kElements], likewise
  uint16_t held[kPasses];

  MKM_DEVICE static int row_of(int pass) {
    return (pass * kProductThreads + static_cast<int>(thread_x())) / kGroups;
  }
  MKM_DEVICE void fetch(int begin, int columns) {
    const int group = begin / 32 + static_cast<int>(thread_x()) % kGroups;
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      const uint16_t* const row = rows[row_of(i)];
      held[i] = 0;
      if (row && group < columns / 32) held[i] = load<uint16_t>(global(row) + group);
    }
  }
  MKM_DEVICE void put() const {
#pragma unroll
    for (int i = 0; i < kPasses; ++i) {
      values[row_of(i) * kPitch + static_cast<int>(thread_x()) % kGroups] = held[i];
    }
  }
};

template <Format kFormat, int kTokens>
MKM_KERNEL_BLOCKS(kProductThreads, 2)
products_kernel(ProductsArgs args) {
  using C = Chunk<kFormat>;
  using F = Fragment<kFormat>;
  using Tile = MmaTile<kFormat, kTokens>;
  using Groups = RowGroups<F::kScaled ? Tile::kColumns : 256>;
  constexpr int kTiles = kTokens / 8;
  // Stripes of one segment, in a warp's.
  constexpr int kRun = C::kColumns == 32 ? 1 : kStripes;
  MKM_DYNAMIC_SHARED(shared);
  MKM_SHARED(float, inverses, Tile::kSegments* kTokens);
  MKM_SHARED(float, squares_of, Tile::kSegments* kTokens);
  MKM_SHARED(const uint16_t*, scale_rows, F::kScaled ? kMmaRows : 1);
  MKM_SHARED(uint16_t, scale_values, F::kScaled ? Groups::kElements : 1);
  MKM_SHARED(const uint16_t*, minimum_rows, C::kMinimum ? kMmaRows : 1);
  MKM_SHARED(uint16_t, minimum_values, C::kMinimum ? Groups::kElements : 1);
  const Tile tile = {shared, inverses};
  const int columns = args.matrices[0].columns, chunks = columns / C::kColumns;
  const int g = lane_id() / 4, t = lane_id() % 4;
  const int part = warp_id() % kParts, first_result = warp_id() / kParts * 16;
  const int first_row = static_cast<int>(block_x()) * kMmaRows;

  // 1. The first weights may be fetched before the input is there.
  allow_next();
  if constexpr (F::kScaled) {
    const int row = static_cast<int>(thread_x());
    if (row < kMmaRows) {
      const RowPlace place = place_of(args, first_row + row);
      const bool there = first_row + row < args.rows;
      const ptrdiff_t at = static_cast<ptrdiff_t>(place.row) * (columns / 32);
      scale_rows[row] = there ? static_cast<const uint16_t*>(place.matrix.scales) + at : nullptr;
      if constexpr (C::kMinimum) {
        minimum_rows[row] =
            there ? static_cast<const uint16_t*>(place.matrix.minimums) + at : nullptr;
      }
    }
    sync_block();
  }
  Ptr<const uint8_t> data[2];
  bool here[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = first_row + first_result + g + 8 * r;
    const RowPlace place = place_of(args, row);
    here[r] = row < args.rows;
    data[r] = global(static_cast<const uint8_t*>(place.matrix.data)) +
              static_cast<ptrdiff_t>(place.row) * chunks * 16;
  }
  Words4 next[kStripes][2];
  Groups scales = {scale_rows, scale_values, {}}, minimums = {minimum_rows, minimum_values, {}};
  const auto fetch = [&](int begin) {
#pragma unroll
    for (int s = 0; s < kStripes; ++s) {
      const int chunk = begin / C::kColumns + (part * kStripes + s) * 4 + t;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        next[s][r] = {};
        if (here[r] && chunk < chunks) {
          next[s][r] = load_once<Words4>(data[r] + static_cast<ptrdiff_t>(chunk) * 16);
        }
      }
    }
    if constexpr (F::kScaled) scales.fetch(begin, columns);
    if constexpr (C::kMinimum) minimums.fetch(begin, columns);
  };
  fetch(0);
  wait_for_previous();

  // 2. Along K: stage the input's tile, send for the next weights, multiply these. A warp stages
  // one segment of every kTokenStep-th token.
  constexpr int kTokenStep = kProductWarps / Tile::kSegments;
  constexpr int kOwn = kTokens / kTokenStep;
  const int segment = warp_id() % Tile::kSegments, first_token = warp_id() / Tile::kSegments;
  float sums[kTiles][4] = {};
  float squares[kOwn] = {};
  for (int begin = 0; begin < columns; begin += Tile::kColumns) {
    Words4 now[kStripes][2];
#pragma unroll
    for (int s = 0; s < kStripes; ++s) {
#pragma unroll
      for (int r = 0; r < 2; ++r) now[s][r] = next[s][r];
    }
    if (begin > 0) sync_block();  // all have read what was there
    if constexpr (F::kScaled) scales.put();
    if constexpr (C::kMinimum) minimums.put();
    if (begin + Tile::kColumns < columns) fetch(begin + Tile::kColumns);
    const int column = begin + segment * kSegment + 4 * lane_id();
    Float4 weight = {1, 1, 1, 1};
    if (args.norm_weight && column < columns) {
      weight = load<Float4>(global(args.norm_weight) + column);
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int token = first_token + i * kTokenStep;
      if (token < args.tokens || begin == 0) {  // tokens that there are not stay zero
        Float4 v = {};
        if (token < args.tokens && column < columns) {
          v = load_input(args, token, column, weight, squares[i]);
        }
        tile.put(token, segment, v);
      }
    }
    sync_block();
#pragma unroll
    for (int run = 0; run < kStripes; run += kRun) {
      float partial[kTiles][4] = {};
#pragma unroll
      for (int s = run; s < run + kRun; ++s) {
        const int stripe = part * kStripes + s;
        if (begin + stripe * 4 * C::kColumns < columns) {
          const auto fragment_of = [&](int row) {
            uint16_t scale = 0, least = 0;
            const int at = row * Groups::kPitch + (stripe * 4 + t) * C::kColumns / 32;
            if constexpr (F::kScaled) scale = scale_values[at];
            if constexpr (C::kMinimum) least = minimum_values[at];
            return F(scale, least);
          };
          tile.multiply(now[s][0], fragment_of(first_result + g), now[s][1],
                        fragment_of(first_result + g + 8), stripe, partial);
        }
      }
      const int of = (part * kStripes + run) * 4 * C::kColumns / kSegment;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        Words2 inverse = {};
        if constexpr (!Tile::kTwoParts) {
          inverse = load<Words2>(inverses + of * kTokens + 8 * n + 2 * t);
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[n][i] = Tile::kTwoParts
                           ? sums[n][i] + partial[n][i]
                           : madd(partial[n][i], bits_to_float(inverse.w[i % 2]), sums[n][i]);
        }
      }
    }
  }

  // 3. Over the warps, and what comes after the product.
  sync_block();
  const Ptr<float> results = cast<float>(shared);
#pragma unroll
  for (int n = 0; n < kTiles; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int token = 8 * n + 2 * t + i % 2, row = first_result + g + i / 2 * 8;
      results[(part * kTokens + token) * kMmaPitch + row] = sums[n][i];
    }
  }
  if (args.norm_weight) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const float sum = warp_sum(squares[i]);
      const int token = first_token + i * kTokenStep;
      if (lane_id() == 0) squares_of[token * Tile::kSegments + segment] = sum;
    }
  }
  sync_block();
  const BlockSums<kMmaRows, kMmaPitch, kParts, Tile::kSegments> block = {results, squares_of,
                                                                         kTokens};
  block.write(args, [](const RowPlace& place) {
    const float row_scale = Rows<kFormat>(place.matrix).row_scale(place.row);
    return F::kShort * (kFormat == Format::kNvfp4 ? place.matrix.factor : row_scale);
  });
}

template <Format kFormat>
int launch_products(const ProductsArgs& args, Stream stream) {
  const Grid grid = {static_cast<unsigned>((args.rows + kMmaRows - 1) / kMmaRows)};
  const auto launch_for = [&]<int kTokens>() {
    return launch(stream, args.swiglu ? "gate_up" : "matvec", products_kernel<kFormat, kTokens>,
                  grid, kProductThreads, MmaTile<kFormat, kTokens>::kBytes, args);
  };
  return args.tokens <= 8 ? launch_for.template operator()<8>()
                          : launch_for.template operator()<16>();
}

}  // namespace mokume::cuda::MKM_TARGET
