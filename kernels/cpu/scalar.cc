// The reference: the plainest code for every kernel, summing in double. The other instruction sets
// are tested against it, and it runs where nothing better is there.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/half.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/scalar_attention.h"
#include "kernels/cpu/tables.h"

namespace mokume::kernels {
namespace {

/// Columns [0, count) of a group of 32, the rest zeros, as quants of group `group` of row `target`.
void quantize_group(const float* x, int count, size_t target, int group, const QuantizedRows& out) {
  int8_t* quants = out.values + target * out.padded_columns + group * kGroup;
  float largest = 0;
  for (int k = 0; k < count; ++k) largest = std::max(largest, std::fabs(x[k]));
  const float scale = largest / 127.0f;
  const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  int halves[2] = {0, 0};
  for (int k = 0; k < kGroup; ++k) {
    const float scaled = k < count ? x[k] * inverse : 0.0f;
    const int quant = std::isnan(scaled) ? 0 : static_cast<int>(std::nearbyint(scaled));
    quants[k] = static_cast<int8_t>(std::clamp(quant, -127, 127));
    halves[k / 16] += quants[k];
  }
  const int sum = halves[0] + halves[1];
  const size_t index = target * out.groups() + group;
  out.scales[index] = scale;
  out.scaled_sums[index] = scale * static_cast<float>(sum);
  out.negated_sums[index] = -sum;
  out.negated_half_sums[2 * index] = -halves[0];
  out.negated_half_sums[2 * index + 1] = -halves[1];
}

void quantize_rows(const float* x, size_t x_stride, int rows, int columns, int first_row,
                   const QuantizedRows& out) {
  for (int r = 0; r < rows; ++r) {
    for (int g = 0; g < out.groups(); ++g) {
      quantize_group(x + r * x_stride + g * kGroup, std::clamp(columns - g * kGroup, 0, kGroup),
                     static_cast<size_t>(first_row + r), g, out);
    }
  }
}

void quantize_residuals(const float* x, size_t x_stride, int rows, int columns, int first_row,
                        const QuantizedRows& quantized, const QuantizedRows& out) {
  for (int r = 0; r < rows; ++r) {
    const size_t target = static_cast<size_t>(first_row + r);
    for (int g = 0; g < out.groups(); ++g) {
      const int8_t* quants = quantized.values + target * quantized.padded_columns + g * kGroup;
      const float scale = quantized.scales[target * quantized.groups() + g];
      const int count = std::clamp(columns - g * kGroup, 0, kGroup);
      float residuals[kGroup];
      for (int k = 0; k < count; ++k)
        residuals[k] =
            std::fma(-scale, static_cast<float>(quants[k]), x[r * x_stride + g * kGroup + k]);
      quantize_group(residuals, count, target, g, out);
    }
  }
}

void store(const MatmulOutput& out, int token, int row, double value) {
  float& target = out.data[token * out.stride + row];
  target = static_cast<float>(out.accumulate ? target + value : value);
}

template <typename Activation>
void matmul(const PackedMatrix& w, int panel_begin, int panel_end, int tokens,
            const MatmulOutput& out, Activation activation) {
  const int end = std::min(panel_end * kPanelRows, w.rows);
  for (int n = panel_begin * kPanelRows; n < end; ++n) {
    for (int t = 0; t < tokens; ++t) {
      double sum = 0;
      for (int k = 0; k < w.columns; ++k) sum += double{packed_value(w, n, k)} * activation(t, k);
      store(out, t, n, sum);
    }
  }
}

void matmul_int8(const PackedMatrix& w, int panel_begin, int panel_end, const QuantizedRows& x,
                 int tokens, const MatmulOutput& out) {
  matmul(w, panel_begin, panel_end, tokens, out, [&](int t, int k) {
    return double{x.scales[static_cast<size_t>(t) * x.groups() + k / kGroup]} *
           x.values[static_cast<size_t>(t) * x.padded_columns + k];
  });
}

void quantize_rows_wide(const float* x, size_t x_stride, int rows, int columns, int first_row,
                        const WideRows& out) {
  for (int i = 0; i < rows * out.groups(); ++i) {
    const int r = i / out.groups(), first = i % out.groups() * kGroup;
    const float* source = x + r * x_stride + first;
    const int count = std::clamp(columns - first, 0, kGroup);
    float largest = 0;
    for (int k = 0; k < count; ++k) largest = std::max(largest, std::fabs(source[k]));
    const float inverse = largest > 0 ? kWordLimit / largest : 0.0f;
    const auto row = static_cast<size_t>(first_row + r);
    int16_t* quants = out.values + row * out.padded_columns + first;
    for (int k = 0; k < kGroup; ++k) {
      const float scaled = k < count ? std::min<float>(source[k] * inverse, kWordLimit) : 0.0f;
      quants[k] = static_cast<int16_t>(std::isnan(scaled) ? 0 : std::nearbyint(scaled));
    }
    out.scales[row * out.groups() + first / kGroup] = largest / kWordLimit;
  }
}

void matmul_int16(const PackedMatrix& w, int panel_begin, int panel_end, const WideRows& x,
                  int tokens, const MatmulOutput& out) {
  matmul(w, panel_begin, panel_end, tokens, out, [&](int t, int k) {
    return double{x.scales[static_cast<size_t>(t) * x.groups() + k / kGroup]} *
           x.values[static_cast<size_t>(t) * x.padded_columns + k];
  });
}

void matmul_f32(const PackedMatrix& w, int panel_begin, int panel_end, const float* x,
                size_t x_stride, int tokens, const MatmulOutput& out) {
  matmul(w, panel_begin, panel_end, tokens, out,
         [&](int t, int k) { return double{x[t * x_stride + k]}; });
}

void rms_norm(const float* x, const float* weight, float epsilon, int columns, float* out) {
  double sum = 0;
  for (int k = 0; k < columns; ++k) sum += double{x[k]} * x[k];
  const double factor = 1 / std::sqrt(sum / columns + epsilon);
  for (int k = 0; k < columns; ++k) out[k] = static_cast<float>(x[k] * factor * weight[k]);
}

void silu_mul(float* gate, const float* up, int columns) {
  for (int k = 0; k < columns; ++k) {
    gate[k] = static_cast<float>(gate[k] / (1 + std::exp(-double{gate[k]})) * up[k]);
  }
}

float sigmoid_times(double gate, double x) { return static_cast<float>(x / (1 + std::exp(-gate))); }

void sigmoid_mul(float* x, const float* gate, int columns) {
  for (int k = 0; k < columns; ++k) x[k] = sigmoid_times(gate[k], x[k]);
}

void scale_to_length(float* x, float length, float epsilon, int columns) {
  double sum = epsilon;
  for (int k = 0; k < columns; ++k) sum += double{x[k]} * x[k];
  for (int k = 0; k < columns; ++k) x[k] = static_cast<float>(x[k] * length / std::sqrt(sum));
}

void conv_silu(const ConvArgs& args, int channel_begin, int channel_end, int tokens) {
  const int past = args.kernel - 1;
  for (int c = channel_begin; c < channel_end; ++c) {
    for (int t = 0; t < tokens; ++t) {
      float& target = args.rows[t * args.stride + c];
      const float newest = target;
      double sum = double{args.weight[static_cast<size_t>(past) * args.channels + c]} * newest;
      for (int j = 0; j < past; ++j) {
        const size_t at = static_cast<size_t>(j) * args.channels + c;
        sum += double{args.weight[at]} * args.state[at];
        args.state[at] = j + 1 < past ? args.state[at + args.channels] : newest;
      }
      target = sigmoid_times(sum, sum);
    }
  }
}

void delta_rule(const DeltaRuleArgs& args, int block_begin, int block_end, int tokens) {
  for (int t = 0; t < tokens; ++t) {
    const float* k = args.key + t * args.stride;
    const float* q = args.query + t * args.stride;
    const double decay = args.decay[t * args.gate_stride];
    for (int column = block_begin * kStateBlock; column < block_end * kStateBlock; ++column) {
      const auto block = static_cast<size_t>(column / kStateBlock);
      const auto state = [&](int i) -> float& {
        return args.state[(block * args.key_dim + i) * kStateBlock + column % kStateBlock];
      };
      double seen = 0, out = 0;
      for (int i = 0; i < args.key_dim; ++i) seen += decay * state(i) * k[i];
      const double delta =
          args.beta[t * args.gate_stride] * (args.value[t * args.stride + column] - seen);
      for (int i = 0; i < args.key_dim; ++i) {
        state(i) = static_cast<float>(decay * state(i) + k[i] * delta);
        out += double{state(i)} * q[i];
      }
      args.out[t * args.out_stride + column] = static_cast<float>(out);
    }
  }
}

void rope(float* x, int heads, int head_dim, int dims, bool interleaved, const float* cos_sin) {
  const int half = dims / 2;
  for (int h = 0; h < heads; ++h) {
    float* head = x + static_cast<size_t>(h) * head_dim;
    for (int i = 0; i < half; ++i) {
      float& a = head[interleaved ? 2 * i : i];
      float& b = head[interleaved ? 2 * i + 1 : i + half];
      const float cosine = cos_sin[i], sine = cos_sin[half + i];
      const float turned = a * cosine - b * sine;
      b = b * cosine + a * sine;
      a = turned;
    }
  }
}

}  // namespace

const CpuKernels& scalar_kernels() {
  static constexpr CpuKernels kTable{Isa::kScalar,
                                     "scalar",
                                     quantize_rows,
                                     quantize_residuals,
                                     quantize_rows_wide,
                                     matmul_int8,
                                     matmul_int16,
                                     matmul_f32,
                                     rms_norm,
                                     silu_mul,
                                     sigmoid_mul,
                                     scale_to_length,
                                     conv_silu,
                                     delta_rule,
                                     rope,
                                     scalar::kv_append,
                                     scalar::attention,
                                     scalar::attention_part,
                                     scalar::attention_merge};
  return kTable;
}

}  // namespace mokume::kernels
