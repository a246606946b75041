// Products of one input with up to four matrices for 1..16 tokens, what a decode step spends its
// time in: what the two kernels for them share. products_mma.cuh multiplies on tensor cores with
// rounded inputs; products_exact.cuh multiplies floats, for exact stages and matrices in
// float32. Both take in what stands around a product: RMSNorm or a gate of the input, bias,
// residual, silu(gate) * up. A sum's order is the matrix's sizes' alone.
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

/// Four columns of a token's input, with its gate and the norm's weights; adds to `squares`.
MKM_DEVICE Float4 load_input(const ProductsArgs& args, int token, int column, Float4 weight,
                             float& squares) {
  const ptrdiff_t at = static_cast<ptrdiff_t>(token) * args.matrices[0].columns + column;
  Float4 v = load<Float4>(global(args.x) + at);
  squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  if (args.gate) {
    const Float4 g = load<Float4>(global(args.gate) + at);
    v = {v.x * sigmoid(g.x), v.y * sigmoid(g.y), v.z * sigmoid(g.z), v.w * sigmoid(g.w)};
  }
  return {v.x * weight.x, v.y * weight.y, v.z * weight.z, v.w * weight.w};
}

/// A block's sums, in shared memory, that what comes after the product is done with.
template <int kRows, int kPitch, int kParts, int kSquareParts>
struct BlockSums {
  Ptr<float> results;  ///< [part][tokens][kPitch], of each kRows are there
  Ptr<float> squares;  ///< [token][kSquareParts], of the input; where there is a norm
  int tokens;          ///< that `results` has room for

  /// `factor(place)` is what the row's sum is still multiplied by.
  template <typename Factor>
  MKM_DEVICE float finished(const ProductsArgs& args, int token, int row, const RowPlace& place,
                            const Factor& factor) const {
    float value = 0;
    for (int i = 0; i < kParts; ++i) {
      const float part = results[(i * tokens + token) * kPitch + row];
      value += part;
    }
    value *= factor(place);
    if (args.norm_weight) {
      float total = 0;
      for (int i = 0; i < kSquareParts; ++i) {
        const float part = squares[token * kSquareParts + i];
        total += part;
      }
      const auto columns = static_cast<float>(place.matrix.columns);
      value *= inverse_sqrt(total / columns + args.epsilon);
    }
    if (place.matrix.bias) {
      const float bias = global(place.matrix.bias)[place.row];
      value += bias;
    }
    return value;
  }

  /// Neighbouring threads write neighbouring rows.
  template <typename Factor>
  MKM_DEVICE void write(const ProductsArgs& args, const Factor& factor) const {
    const int step = args.swiglu ? 2 : 1, width = kRows / step;
    for (int i = thread_x(); i < args.tokens * width; i += kProductThreads) {
      const int token = i / width, row = i % width * step;
      const int index = static_cast<int>(block_x()) * kRows + row;
      if (index >= args.rows) continue;
      const RowPlace place = place_of(args, index);
      float value = finished(args, token, row, place, factor);
      if (args.swiglu) {
        value = silu(value) * finished(args, token, row + 1, place_of(args, index + 1), factor);
      }
      const Ptr<float> out =
          global(place.out) + static_cast<ptrdiff_t>(token) * place.matrix.rows + place.row;
      if (args.accumulate) {
        const float before = *out;
        value += before;
      }
      *out = value;
    }
  }
};

/// For one format each; compiled in files of their own.
template <Format kFormat>
int launch_exact_products(const ProductsArgs& args, Stream stream);
template <Format kFormat>
int launch_products(const ProductsArgs& args, Stream stream);
/// Of kNvfp4.
int launch_fp4_products(const ProductsArgs& args, Stream stream);

}  // namespace mokume::cuda::MKM_TARGET
