// Matrix-vector products for 1..16 tokens: what a decode step spends its time in. They move each
// weight once, 16 bytes a lane, and everything around a product that can be done on the way is:
// RMSNorm or a gate of the input, rounding it to int8, bias, residual, silu(gate) * up.
//
// A block of 8 warps computes 16 rows, a warp 2 of them for all tokens. Where a matrix is low and
// long, four warps share 2 rows along K instead, so that enough blocks are there for a GPU. The
// input goes through shared memory in tiles of 1024 columns and up to 8 tokens; in it, what the 32
// lanes read at once lies side by side ("plane"). While a tile is worked on, the weights of the
// next are on their way. A row's sum is added per lane along K, then over the lanes, then over the
// warps, so its order is the matrix's sizes' alone.
//
// Two ways to multiply: floats (kDot false), and int8 inputs with a scale a group of 32 by dp4a.
#pragma once

#include "kernels/cuda/formats.cuh"
#include "kernels/cuda/ops.cuh"

namespace mokume::cuda::MKM_TARGET {

struct ProductsArgs {
  Matrix matrices[kMaxMatrices];
  float* outs[kMaxMatrices];
  int first_rows[kMaxMatrices];  // in the list of all rows
  int count;
  int rows;  // of all matrices
  const float* x;
  const float* norm_weight;
  const float* gate;
  float epsilon;
  int tokens;
  bool accumulate;
  bool swiglu;  // rows of matrices[0] and [1] alternate; outs[0] = silu(first) * second
};

inline constexpr int kProductThreads = 256;
inline constexpr int kProductWarps = kProductThreads / kWarp;
inline constexpr int kWarpRows = 2;
inline constexpr int kTileColumns = 4 * kProductThreads;  // a thread stages 4 of a token
/// Low and long: fewer rows than this, more columns than that.
inline constexpr int kSplitRows = 4096, kSplitColumns = 2 * kTileColumns;
inline constexpr int kActGroup = 32;  // columns that share an input's scale

constexpr bool has_dot(Format format) {
  return format == Format::kInt8 || format == Format::kQ8 || format == Format::kQ4 ||
         format == Format::kQ4Min;
}
/// Warps that share rows, of a low and long matrix. Exact stages need no such speed.
template <Format kFormat, bool kDot>
inline constexpr int kMostSplit = kFormat != Format::kF32&& kDot == has_dot(kFormat) ? 4 : 1;

/// Where row `index` of the list is. Selected, not indexed: parameters that are indexed by a
/// variable would be copied to local memory.
struct RowPlace {
  Matrix matrix;
  float* out;
  int row;
};
MKM_DEVICE RowPlace place_of(const ProductsArgs& args, int index) {
  RowPlace place = {args.matrices[0], args.outs[0], index};
  if (args.swiglu) {
    if (index % 2 == 1) place.matrix = args.matrices[1];
    place.row = index / 2;
    return place;
  }
#pragma unroll
  for (int m = 1; m < kMaxMatrices; ++m) {
    if (m < args.count && index >= args.first_rows[m]) {
      place = {args.matrices[m], args.outs[m], index - args.first_rows[m]};
    }
  }
  return place;
}

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

/// The tile's input as int8 in planes of 16 bytes a lane, with a scale and a scaled sum a group.
template <Format kFormat, int kTokens>
struct Int8Tile {
  using C = Chunk<kFormat>;
  static constexpr int kWords = C::kColumns / 16;  // of 16 bytes, that a chunk meets
  static constexpr int kPlane = kWarp * 16 + (kWords > 1 ? 64 : 0);
  static constexpr int kTokenBytes = kTileColumns / C::kColumns / kWarp * kWords * kPlane;
  static constexpr int kTileGroups = kTileColumns / kActGroup;
  static constexpr size_t kBytes =
      static_cast<size_t>(kTokenBytes + 2 * sizeof(float) * kTileGroups) * kTokens;

  Ptr<uint8_t> values;
  Ptr<float> scales, sums;  // [token][group]; the sum of a group's values as floats
  MKM_DEVICE explicit Int8Tile(Ptr<uint8_t> shared)
      : values(shared),
        scales(cast<float>(shared + kTokenBytes * kTokens)),
        sums(scales + kTileGroups * kTokens) {}

  /// Eight neighbouring threads hold a group.
  MKM_DEVICE void put(int token, int quad, Float4 v) const {
    float largest = fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
#pragma unroll
    for (int mask = 1; mask < 8; mask *= 2) largest = fmaxf(largest, shuffle_xor(largest, mask));
    const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
    const int8_t q[4] = {from_float<int8_t>(v.x * inverse), from_float<int8_t>(v.y * inverse),
                         from_float<int8_t>(v.z * inverse), from_float<int8_t>(v.w * inverse)};
    int sum = q[0] + q[1] + q[2] + q[3];
#pragma unroll
    for (int mask = 1; mask < 8; mask *= 2) sum += shuffle_xor(sum, mask);
    const int column = 4 * quad, chunk = column / C::kColumns;
    const int plane = chunk / kWarp * kWords + column % C::kColumns / 16;
    store(values + token * kTokenBytes + plane * kPlane + chunk % kWarp * 16 + column % 16,
          byte_of(q[0]) | (byte_of(q[1]) << 8) | (byte_of(q[2]) << 16) | (byte_of(q[3]) << 24));
    if (quad % 8 == 0) {
      const float scale = largest / 127.0f;
      scales[token * kTileGroups + quad / 8] = scale;
      sums[token * kTileGroups + quad / 8] = scale * static_cast<float>(sum);
    }
  }

  template <int kSumTokens>
  MKM_DEVICE void add(const C (&chunks)[kWarpRows], const float (&factors)[kWarpRows], int step,
                      float (&totals)[kWarpRows][kSumTokens], int first_token) const {
    const int group = (step * kWarp + lane_id()) * C::kColumns / kActGroup;
#pragma unroll
    for (int t = 0; t < kTokens; ++t) {
      int products[kWarpRows] = {};
#pragma unroll
      for (int word = 0; word < kWords; ++word) {
        const Words4 x = load<Words4>(values + t * kTokenBytes + (step * kWords + word) * kPlane +
                                      lane_id() * 16);
#pragma unroll
        for (int r = 0; r < kWarpRows; ++r) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const uint32_t w = kWords == 1 ? chunks[r].data.w[i]
                                           : (chunks[r].data.w[i] >> (4 * word)) & 0x0f0f0f0fu;
            products[r] = dot4(w, x.w[i], products[r]);
          }
        }
      }
      const float scale = scales[t * kTileGroups + group], sum = sums[t * kTileGroups + group];
#pragma unroll
      for (int r = 0; r < kWarpRows; ++r) {
        float value = scale * static_cast<float>(products[r]);
        if constexpr (kFormat == Format::kQ4) value = madd(-8.0f, sum, value);
        float& total = totals[r][first_token + t];
        if constexpr (C::kMinimum) total = madd(chunks[r].minimum_of(), sum, total);
        total =
            C::kGroupScale ? madd(chunks[r].scale_of(0, factors[r]), value, total) : total + value;
      }
    }
  }
};

/// Blocks of a multiprocessor: as many as registers allow without spills. The wider an element, the
/// more of a tile's weights are on their way in registers, so that fewer blocks keep as many bytes
/// in flight.
template <Format kFormat, int kTokens, int kSplit>
constexpr int min_blocks() {
  const bool wide = bits(kFormat) >= 16 || kSplit > 1;
  if (kTokens >= 8 || bits(kFormat) == 32 || (kTokens == 4 && wide)) return 1;
  return kTokens <= 2 && bits(kFormat) == 4 && kSplit == 1 ? 3 : 2;
}

/// Tokens of a tile: the tiles of all warps that share rows are in shared memory at once. Minimums
/// take more registers.
constexpr int pass_tokens(Format format, int tokens, int split) {
  const int most = (has_minimums(format) ? 4 : 8) / split;
  return tokens < most ? tokens : most;
}
template <Format kFormat, int kTokens, bool kDot, int kSplit>
using ProductTile =
    std::conditional_t<kDot, Int8Tile<kFormat, pass_tokens(kFormat, kTokens, kSplit)>,
                       FloatTile<kFormat, pass_tokens(kFormat, kTokens, kSplit)>>;

template <Format kFormat, int kTokens, bool kDot, int kSplit>
MKM_KERNEL_BLOCKS(kProductThreads, (min_blocks<kFormat, kTokens, kSplit>()))
products_kernel(ProductsArgs args) {
  using C = Chunk<kFormat>;
  using Tile = ProductTile<kFormat, kTokens, kDot, kSplit>;
  constexpr int kPass = pass_tokens(kFormat, kTokens, kSplit);
  constexpr int kSteps = kTileColumns / C::kColumns / kWarp;
  constexpr int kBlockRows = kProductWarps / kSplit * kWarpRows;
  MKM_DYNAMIC_SHARED(shared);
  MKM_SHARED(float, results, kTokens* kBlockRows* kSplit);  // [token][row][part]
  MKM_SHARED(float, squares_of, kTokens* kProductWarps);
  const int part = warp_id() % kSplit, first_result = warp_id() / kSplit * kWarpRows;
  const Tile tile(shared + part * static_cast<int>(Tile::kBytes));  // that this warp reads
  const int columns = args.matrices[0].columns, chunks = columns / C::kColumns;
  const int first_row = static_cast<int>(block_x()) * kBlockRows + first_result;

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
      const int chunk = (begin + part * kTileColumns) / C::kColumns + step * kWarp + lane_id();
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
  const Ptr<const float> x = global(args.x), norm = global(args.norm_weight),
                         gate = global(args.gate);
  float sums[kWarpRows][kTokens] = {};
  float squares[kTokens] = {};
  for (int begin = 0; begin < columns; begin += kSplit * kTileColumns) {
    C now[kSteps][kWarpRows];
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
#pragma unroll
      for (int r = 0; r < kWarpRows; ++r) now[step][r] = next[step][r];
    }
    if (begin + kSplit * kTileColumns < columns) fetch(begin + kSplit * kTileColumns);
#pragma unroll
    for (int pass = 0; pass < kTokens; pass += kPass) {
      if (begin > 0 || pass > 0) sync_block();  // all have read what was there
#pragma unroll
      for (int i = 0; i < kSplit; ++i) {
        const Tile staged(shared + i * static_cast<int>(Tile::kBytes));
        const int quad = static_cast<int>(thread_x());
        const int column = begin + i * kTileColumns + 4 * quad;
        Float4 weight = {1, 1, 1, 1};
        if (args.norm_weight && column < columns) weight = load<Float4>(norm + column);
#pragma unroll
        for (int t = 0; t < kPass; ++t) {
          Float4 v = {};
          if (pass + t < args.tokens && column < columns) {
            const ptrdiff_t at = static_cast<ptrdiff_t>(pass + t) * columns + column;
            v = load<Float4>(x + at);
            squares[pass + t] += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
            if (args.gate) {
              const Float4 g = load<Float4>(gate + at);
              v = {v.x * sigmoid(g.x), v.y * sigmoid(g.y), v.z * sigmoid(g.z), v.w * sigmoid(g.w)};
            }
            v = {v.x * weight.x, v.y * weight.y, v.z * weight.z, v.w * weight.w};
          }
          staged.put(t, quad, v);
        }
      }
      sync_block();
#pragma unroll
      for (int step = 0; step < kSteps; ++step) tile.add(now[step], factors, step, sums, pass);
    }
  }

  // 3. Over the lanes.
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
#pragma unroll
    for (int r = 0; r < kWarpRows; ++r) {
      const float sum = warp_sum(sums[r][t]);
      if (lane_id() == 0) results[(t * kBlockRows + first_result + r) * kSplit + part] = sum;
    }
    if (args.norm_weight) {
      const float sum = warp_sum(squares[t]);
      if (lane_id() == 0) squares_of[t * kProductWarps + warp_id()] = sum;
    }
  }
  sync_block();

  // 4. What comes after the product; neighbouring threads write neighbouring rows.
  const auto finished = [&](int token, int row, const RowPlace& place) {
    float value = 0;
    for (int i = 0; i < kSplit; ++i) {
      const float partial = results[(token * kBlockRows + row) * kSplit + i];
      value += partial;
    }
    if constexpr (C::kRowScale) value *= Rows<kFormat>(place.matrix).row_scale(place.row);
    if (args.norm_weight) {
      float total = 0;
      for (int w = 0; w < kProductWarps; ++w) {
        const float squares_part = squares_of[token * kProductWarps + w];
        total += squares_part;
      }
      value *= inverse_sqrt(total / static_cast<float>(columns) + args.epsilon);
    }
    if (place.matrix.bias) {
      const float bias = global(place.matrix.bias)[place.row];
      value += bias;
    }
    return value;
  };
  const int step = args.swiglu ? 2 : 1, width = kBlockRows / step;
  for (int i = thread_x(); i < args.tokens * width; i += kProductThreads) {
    const int token = i / width, row = i % width * step;
    const int index = static_cast<int>(block_x()) * kBlockRows + row;
    if (index >= args.rows) continue;
    const RowPlace place = place_of(args, index);
    float value = finished(token, row, place);
    if (args.swiglu) value = silu(value) * finished(token, row + 1, place_of(args, index + 1));
    const Ptr<float> out =
        global(place.out) + static_cast<ptrdiff_t>(token) * place.matrix.rows + place.row;
    if (args.accumulate) {
      const float before = *out;
      value += before;
    }
    *out = value;
  }
}

template <Format kFormat, bool kDot, int kSplit>
int launch_split(const ProductsArgs& args, Stream stream) {
  const char* const name = args.swiglu ? "gate_up" : "matvec";
  constexpr int kBlockRows = kProductWarps / kSplit * kWarpRows;
  const Grid grid = {static_cast<unsigned>((args.rows + kBlockRows - 1) / kBlockRows)};
  const auto launch_for = [&]<int kTokens>() {
    return launch(stream, name, products_kernel<kFormat, kTokens, kDot, kSplit>, grid,
                  kProductThreads, kSplit * ProductTile<kFormat, kTokens, kDot, kSplit>::kBytes,
                  args);
  };
  if (args.tokens == 1) return launch_for.template operator()<1>();
  if (args.tokens == 2) return launch_for.template operator()<2>();
  if (args.tokens <= 4) return launch_for.template operator()<4>();
  if (args.tokens <= 8) return launch_for.template operator()<8>();
  return launch_for.template operator()<16>();
}

/// For one format; each is compiled in a file of its own. How K is split must not depend on the
/// tokens: a token's bits may not.
template <Format kFormat, bool kDot>
int launch_products(const ProductsArgs& args, Stream stream) {
  constexpr int kSplit = kMostSplit<kFormat, kDot>;
  if (kSplit > 1 && args.rows < kSplitRows && args.matrices[0].columns > kSplitColumns) {
    return launch_split<kFormat, kDot, kSplit>(args, stream);
  }
  return launch_split<kFormat, kDot, 1>(args, stream);
}

extern template int launch_products<Format::kF32, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kF16, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kBF16, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kF8, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kInt8, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kQ8, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kQ4, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kQ4Min, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kNvfp4, false>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kInt8, true>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kQ8, true>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kQ4, true>(const ProductsArgs&, Stream);
extern template int launch_products<Format::kQ4Min, true>(const ProductsArgs&, Stream);

}  // namespace mokume::cuda::MKM_TARGET
