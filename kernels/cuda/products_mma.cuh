// Products for 1..16 tokens on tensor cores: rows of the matrix are the left operand, eight or
// sixteen tokens the right one. Each weight is read once, 16 bytes a lane, and becomes an operand
// in registers: half_tile.cuh dequantizes to halves, fp4_tile.cuh takes NVFP4 as it is.
//
// A block of 8 warps computes 32 rows: two tiles of 16, each by four warps that share it along K.
// Of every 512 bytes of a row ("a tile") a warp takes 128: two stripes of 64, of which each of the
// four lanes of a row reads 16. So the columns that one multiplication adds up are not next to each
// other; the input lies in shared memory in the order in which lanes want it ("planes" of 16 bytes
// a lane). While a tile is worked on, the weights of the next are on their way.
//
// Inputs are rounded to what is multiplied, 128 columns of a token ("a segment") times a power of
// two of their own, so that no input is too large or too small; sums are float32. A row's sum is
// added along a warp's columns, then over the four warps. Nothing in it depends on how many tokens
// there are or which: a token has the same bits in every batch.
#pragma once

#include "kernels/cuda/mma_tile.cuh"
#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

inline constexpr int kMmaPitch = kMmaRows + 4;  ///< of sums in shared memory
static_assert(kMmaThreads == kProductThreads);

/// Sums come after the last tile, into the same memory.
template <typename Tile>
constexpr size_t mma_shared_bytes() {
  constexpr size_t kSums = sizeof(float) * kParts * Tile::kTokens * kMmaPitch;
  return Tile::kInputBytes > kSums ? Tile::kInputBytes : kSums;
}

template <typename Tile>
MKM_KERNEL_BLOCKS(kProductThreads, 2)
products_kernel(ProductsArgs args) {
  constexpr Format kFormat = Tile::kFormat;
  constexpr int kTokens = Tile::kTokens, kTiles = kTokens / 8;
  using C = Chunk<kFormat>;
  using Groups = RowGroups<C::kGroupScale ? Tile::kColumns : 256>;
  constexpr int kSegments = Tile::kColumns / kSegment;
  // Stripes of one segment, in a warp's.
  constexpr int kRun = C::kColumns == 32 ? 1 : kStripes;
  MKM_DYNAMIC_SHARED(shared);
  MKM_SHARED(float, inverses, kSegments* kTokens);
  MKM_SHARED(float, squares_of, kSegments* kTokens);
  MKM_SHARED(const uint16_t*, scale_rows, C::kGroupScale ? kMmaRows : 1);
  MKM_SHARED(Words2, scale_words, C::kGroupScale ? Groups::kElements / 4 : 1);
  MKM_SHARED(const uint16_t*, minimum_rows, C::kMinimum ? kMmaRows : 1);
  MKM_SHARED(Words2, minimum_words, C::kMinimum ? Groups::kElements / 4 : 1);
  const Tile tile = {shared, inverses};
  const int columns = args.matrices[0].columns, chunks = columns / C::kColumns;
  const int g = lane_id() / 4, t = lane_id() % 4;
  const int part = warp_id() % kParts, first_result = warp_id() / kParts * 16;
  const int first_row = static_cast<int>(block_x()) * kMmaRows;

  // 1. The first weights may be fetched before the input is there.
  allow_next();
  if constexpr (C::kGroupScale) {
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
  Groups scales = {scale_rows, cast<uint16_t>(scale_words), {}};
  Groups minimums = {minimum_rows, cast<uint16_t>(minimum_words), {}};
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
    if constexpr (C::kGroupScale) scales.fetch(begin, columns);
    if constexpr (C::kMinimum) minimums.fetch(begin, columns);
  };
  fetch(0);
  wait_for_previous();

  // 2. Along K: stage the input's tile, send for the next weights, multiply these. A warp stages
  // one segment of every kTokenStep-th token.
  constexpr int kTokenStep = kProductWarps / kSegments;
  constexpr int kOwn = kTokens / kTokenStep;
  const int segment = warp_id() % kSegments, first_token = warp_id() / kSegments;
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
    if constexpr (C::kGroupScale) scales.put();
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
          tile.multiply(now[s], scales.values, minimums.values, first_result, stripe, partial);
        }
      }
      const int of = (part * kStripes + run) * 4 * C::kColumns / kSegment;
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
        Words2 inverse = {};
        if constexpr (Tile::kScalesInput) {
          inverse = load<Words2>(inverses + of * kTokens + 8 * n + 2 * t);
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          sums[n][i] = Tile::kScalesInput
                           ? madd(partial[n][i], bits_to_float(inverse.w[i % 2]), sums[n][i])
                           : sums[n][i] + partial[n][i];
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
      if (lane_id() == 0) squares_of[token * kSegments + segment] = sum;
    }
  }
  sync_block();
  const BlockSums<kMmaRows, kMmaPitch, kParts, kSegments> block = {results, squares_of, kTokens};
  block.write(args, [](const RowPlace& place) {
    const float row_scale = Rows<kFormat>(place.matrix).row_scale(place.row);
    return Tile::kShort * (kFormat == Format::kNvfp4 ? place.matrix.factor : row_scale);
  });
}

/// TileFor<tokens> is the tile of so many.
template <template <int> typename TileFor>
int launch_mma_products(const ProductsArgs& args, Stream stream) {
  const Grid grid = {static_cast<unsigned>((args.rows + kMmaRows - 1) / kMmaRows)};
  const auto launch_for = [&]<int kTokens>() {
    return launch(stream, args.swiglu ? "gate_up" : "matvec", products_kernel<TileFor<kTokens>>,
                  grid, kProductThreads, mma_shared_bytes<TileFor<kTokens>>(), args);
  };
  return args.tokens <= 8 ? launch_for.template operator()<8>()
                          : launch_for.template operator()<16>();
}

}  // namespace mokume::cuda::MKM_TARGET
