// Exact products for 1..16 tokens: inputs and sums are floats. A block of 8 warps computes 16 rows,
// a warp 2 of them for all tokens. The input goes through shared memory in tiles of 1024 columns
// and up to 8 tokens; in it, what the 32 lanes read at once lies side by side ("plane"). While a
// tile is worked on, the weights of the next are on their way. A row's sum is added per lane along
// K, then over the lanes.
#pragma once

#include "kernels/cuda/products.cuh"

namespace mokume::cuda::MKM_TARGET {

inline constexpr int kWarpRows = 2;
inline constexpr int kExactRows = kProductWarps * kWarpRows;  // of a block
inline constexpr int kTileColumns = 4 * kProductThreads;      // a thread stages 4 of a token

/// The tile's input in shared memory as float32, quads of columns in planes of 32 lanes. A plane is
/// padded so that the quads that neighbouring threads store lie in different banks.
template <Format kFormat, int kTokens>
struct FloatTile {
  using C = Chunk<kFormat>;
  static constexpr int kPlane = kWarp + (C::kQuads > 1 ? 8 / C::kQuads : 0);
  static constexpr int kTokenQuads = kTileColumns / C::kColumns / kWarp * C::kQuads * kPlane;
  static constexpr size_t kBytes = sizeof(Float4) * kTokenQuads * kTokens;

  Ptr<Float4> quads;
  MKM_DEVICE explicit FloatTile(Ptr<uint8_t> shared) : quads(cast<Float4>(shared)) {}

  /// `quad` of the tile's columns; called by each thread for its own.
  MKM_DEVICE void put(int token, int quad, Float4 v) const {
    const int chunk = quad / C::kQuads, plane = chunk / kWarp * C::kQuads + quad % C::kQuads;
    store(quads + token * kTokenQuads + plane * kPlane + chunk % kWarp, v);
  }

  /// sums[r][t] += what the lane's chunks of step `step` give.
  template <int kSumTokens>
  MKM_DEVICE void add(const C (&chunks)[kWarpRows], const float (&factors)[kWarpRows], int step,
                      float (&sums)[kWarpRows][kSumTokens], int first_token) const {
#pragma unroll
    for (int group = 0; group < C::kGroups; ++group) {
      float partial[kWarpRows][kTokens] = {};
      float scales[kWarpRows];
#pragma unroll
      for (int r = 0; r < kWarpRows; ++r) scales[r] = chunks[r].scale_of(group, factors[r]);
#pragma unroll
      for (int q = 0; q < C::kQuads / C::kGroups; ++q) {
        const int quad = group * (C::kQuads / C::kGroups) + q;
        float w[kWarpRows][4];
#pragma unroll
        for (int r = 0; r < kWarpRows; ++r) {
          chunks[r].levels(quad, w[r]);
          if constexpr (C::kMinimum) {
#pragma unroll
            for (int i = 0; i < 4; ++i) w[r][i] = madd(w[r][i], scales[r], chunks[r].minimum_of());
          }
        }
#pragma unroll
        for (int t = 0; t < kTokens; ++t) {
          const Float4 x = load<Float4>(quads + t * kTokenQuads +
                                        (step * C::kQuads + quad) * kPlane + lane_id());
#pragma unroll
          for (int r = 0; r < kWarpRows; ++r) {
            float& p = partial[r][t];
            p = madd(w[r][3], x.w, madd(w[r][2], x.z, madd(w[r][1], x.y, madd(w[r][0], x.x, p))));
          }
        }
      }
#pragma unroll
      for (int r = 0; r < kWarpRows; ++r) {
#pragma unroll
        for (int t = 0; t < kTokens; ++t) {
          float& sum = sums[r][first_token + t];
          sum = C::kGroupScale && !C::kMinimum ? madd(partial[r][t], scales[r], sum)
                                               : sum + partial[r][t];
        }
      }
    }
  }
};

/// Tokens of a tile. Minimums take more registers.
constexpr int exact_tile_tokens(Format format, int tokens) {
  const int most = has_minimums(format) ? 4 : 8;
  return tokens < most ? tokens : most;
}

template <Format kFormat, int kTokens>
MKM_KERNEL_BLOCKS(kProductThreads, 1)  // as many registers as it takes
exact_products_kernel(ProductsArgs args) {
  using C = Chunk<kFormat>;
  constexpr int kPass = exact_tile_tokens(kFormat, kTokens);
  using Tile = FloatTile<kFormat, kPass>;
  constexpr int kSteps = kTileColumns / C::kColumns / kWarp;
  MKM_DYNAMIC_SHARED(shared);
  MKM_SHARED(float, results, kTokens* kExactRows);
  MKM_SHARED(float, squares_of, kTokens* kProductWarps);
  const Tile tile(shared);
  const int columns = args.matrices[0].columns, chunks = columns / C::kColumns;
  const int first_result = warp_id() * kWarpRows;
  const int first_row = static_cast<int>(block_x()) * kExactRows + first_result;

  // 1. The first weights may be fetched before the input is there.
  allow_next();
  const RowPlace first = place_of(args, first_row), second = place_of(args, first_row + 1);
  const Rows<kFormat> planes[kWarpRows] = {Rows<kFormat>(first.matrix),
                                           Rows<kFormat>(second.matrix)};
  const float factors[kWarpRows] = {planes[0].factor, planes[1].factor};
  C next[kSteps][kWarpRows] = {};
  const auto fetch = [&](int begin) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const int chunk = begin / C::kColumns + step * kWarp + lane_id();
#pragma unroll
      for (int r = 0; r < kWarpRows; ++r) {
        next[step][r] = {};
        if (chunk < chunks && first_row + r < args.rows) {
          next[step][r] = planes[r].load_chunk(r == 0 ? first.row : second.row, chunk);
        }
      }
    }
  };
  fetch(0);
  wait_for_previous();

  // 2. Along K: stage the input's tile, send for the next weights, multiply these.
  float sums[kWarpRows][kTokens] = {};
  float squares[kTokens] = {};
  for (int begin = 0; begin < columns; begin += kTileColumns) {
    C now[kSteps][kWarpRows];
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int r = 0; r < kWarpRows; ++r) now[step][r] = next[step][r];
    }
    if (begin + kTileColumns < columns) fetch(begin + kTileColumns);
    const int quad = static_cast<int>(thread_x()), column = begin + 4 * quad;
    Float4 weight = {1, 1, 1, 1};
    if (args.norm_weight && column < columns)
      weight = load<Float4>(global(args.norm_weight) + column);
#pragma unroll
    for (int pass = 0; pass < kTokens; pass += kPass) {
      if (begin > 0 || pass > 0) sync_block();  // all have read what was there
#pragma unroll
      for (int t = 0; t < kPass; ++t) {
        Float4 v = {};
        if (pass + t < args.tokens && column < columns) {
          v = load_input(args, pass + t, column, weight, squares[pass + t]);
        }
        tile.put(t, quad, v);
      }
      sync_block();
#pragma unroll
      for (int step = 0; step < kSteps; ++step) tile.add(now[step], factors, step, sums, pass);
    }
  }

  // 3. Over the lanes, and what comes after the product.
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
#pragma unroll
    for (int r = 0; r < kWarpRows; ++r) {
      const float sum = warp_sum(sums[r][t]);
      if (lane_id() == 0) results[t * kExactRows + first_result + r] = sum;
    }
    if (args.norm_weight) {
      const float sum = warp_sum(squares[t]);
      if (lane_id() == 0) squares_of[t * kProductWarps + warp_id()] = sum;
    }
  }
  sync_block();
  const BlockSums<kExactRows, kExactRows, 1, kProductWarps> block = {results, squares_of, kTokens};
  block.write(
      args, [](const RowPlace& place) { return Rows<kFormat>(place.matrix).row_scale(place.row); });
}

template <Format kFormat>
int launch_exact_products(const ProductsArgs& args, Stream stream) {
  const Grid grid = {static_cast<unsigned>((args.rows + kExactRows - 1) / kExactRows)};
  const auto launch_for = [&]<int kTokens>() {
    constexpr int kPass = exact_tile_tokens(kFormat, kTokens);
    return launch(stream, args.swiglu ? "gate_up" : "matvec",
                  exact_products_kernel<kFormat, kTokens>, grid, kProductThreads,
                  FloatTile<kFormat, kPass>::kBytes, args);
  };
  if (args.tokens == 1) return launch_for.template operator()<1>();
  if (args.tokens == 2) return launch_for.template operator()<2>();
  if (args.tokens <= 4) return launch_for.template operator()<4>();
  if (args.tokens <= 8) return launch_for.template operator()<8>();
  return launch_for.template operator()<16>();
}

}  // namespace mokume::cuda::MKM_TARGET
