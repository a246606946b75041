// What a ModelSpec means, computed token by token in float64: a check of loaders that needs no
// device.
#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "model/linear.h"
#include "model/model_spec.h"

namespace mokume::testing {

using Row = std::vector<double>;
using Rows = std::vector<Row>;  ///< one a token

inline std::vector<float> floats_of(const TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.rows() * view.columns()));
  for (int64_t row = 0; row < view.rows(); ++row) {
    const auto columns = static_cast<size_t>(view.columns());
    dequantize_row(view, row,
                   std::span(values).subspan(static_cast<size_t>(row) * columns, columns));
  }
  return values;
}

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double silu(double x) { return x * sigmoid(x); }
inline double softplus(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }

/// The whole of one sequence through a model.
class ReferenceForward {
 public:
  explicit ReferenceForward(const ModelSpec& spec) : spec_(spec) {}

  Rows logits(const std::vector<int32_t>& ids) const {
    Rows hidden;
    std::vector<float> row(static_cast<size_t>(spec_.hidden_size));
    for (const int32_t id : ids) {
      dequantize_row(spec_.embedding, id, row);
      hidden.emplace_back(row.begin(), row.end());
    }
    for (const LayerSpec& layer : spec_.layers) {
      const Rows in = norm(layer.mixer_norm, hidden);
      add(hidden, std::visit([&](const auto& mixer) { return mix(mixer, in); }, layer.mixer));
      add(hidden, swiglu(std::get<SwiGlu>(layer.ffn), norm(layer.ffn_norm, hidden)));
    }
    return apply(spec_.head, norm(spec_.final_norm, hidden));
  }

 private:
  static void add(Rows& to, const Rows& what) {
    for (size_t t = 0; t < to.size(); ++t)
      for (size_t i = 0; i < to[t].size(); ++i) to[t][i] += what[t][i];
  }

  static Rows apply(const Linear& linear, const Rows& in) {
    Rows out(in.size(), Row(static_cast<size_t>(linear.weight.rows())));
    const std::vector<float> bias = linear.bias ? floats_of(linear.bias) : std::vector<float>();
    std::vector<float> weights(static_cast<size_t>(linear.weight.columns()));
    for (size_t row = 0; row < out[0].size(); ++row) {
      dequantize_linear_row(linear, static_cast<int64_t>(row), weights);
      for (size_t t = 0; t < in.size(); ++t) {
        double sum = bias.empty() ? 0 : bias[row];
        for (size_t i = 0; i < weights.size(); ++i) sum += double{weights[i]} * in[t][i];
        out[t][row] = sum;
      }
    }
    return out;
  }

  /// Over `x[begin, begin + weight.size())`.
  static void norm_part(const std::vector<float>& weight, double epsilon, Row& x, size_t begin) {
    double squares = 0;
    for (size_t i = 0; i < weight.size(); ++i) squares += x[begin + i] * x[begin + i];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(weight.size()) + epsilon);
    for (size_t i = 0; i < weight.size(); ++i) x[begin + i] *= scale * weight[i];
  }

  static Rows norm(const RmsNorm& norm, Rows rows) {
    const std::vector<float> weight = floats_of(norm.weight);
    for (Row& row : rows) {
      for (size_t begin = 0; begin < row.size(); begin += weight.size())
        norm_part(weight, norm.epsilon, row, begin);
    }
    return rows;
  }

  static Rows swiglu(const SwiGlu& ffn, const Rows& in) {
    Rows inner = apply(ffn.gate, in);
    const Rows up = apply(ffn.up, in);
    for (size_t t = 0; t < in.size(); ++t)
      for (size_t i = 0; i < up[t].size(); ++i) inner[t][i] = silu(inner[t][i]) * up[t][i];
    return apply(ffn.down, inner);
  }

  static void turn(const Rope& rope, size_t head_dim, Rows& rows) {
    const auto pairs = static_cast<size_t>(rope.dims) / 2;
    for (size_t t = 0; t < rows.size(); ++t) {
      for (size_t head = 0; head < rows[t].size(); head += head_dim) {
        for (size_t i = 0; i < pairs; ++i) {
          const double angle = static_cast<double>(t) * rope.inverse_frequencies[i];
          double& a = rows[t][head + (rope.interleaved ? 2 * i : i)];
          double& b = rows[t][head + (rope.interleaved ? 2 * i + 1 : i + pairs)];
          const double c = std::cos(angle) * rope.magnitude, s = std::sin(angle) * rope.magnitude;
          const double turned = a * c - b * s;
          b = a * s + b * c;
          a = turned;
        }
      }
    }
  }

  /// Takes every second `head_dim` elements out of [query | gate].
  static Rows split_gate(Rows& rows, size_t head_dim) {
    Rows gates;
    for (Row& row : rows) {
      Row query, gate;
      for (size_t i = 0; i < row.size(); ++i)
        (i / head_dim % 2 == 0 ? query : gate).push_back(row[i]);
      row = query;
      gates.push_back(gate);
    }
    return gates;
  }

  static Rows mix(const Attention& attention, const Rows& in) {
    const auto dim = static_cast<size_t>(attention.head_dim);
    const auto group = static_cast<size_t>(attention.heads / attention.kv_heads);
    Rows q = apply(attention.q, in), k = apply(attention.k, in);
    const Rows v = apply(attention.v, in);
    const Rows gates = attention.output_gate ? split_gate(q, dim) : Rows();
    if (attention.q_norm) q = norm(*attention.q_norm, std::move(q));
    if (attention.k_norm) k = norm(*attention.k_norm, std::move(k));
    turn(attention.rope, dim, q);
    turn(attention.rope, dim, k);
    Rows out(in.size(), Row(q[0].size()));
    for (size_t t = 0; t < in.size(); ++t) {
      for (size_t head = 0; head * dim < q[t].size(); ++head) {
        const size_t mine = head * dim, theirs = head / group * dim;
        Row scores;
        double sum = 0;
        for (size_t s = 0; s <= t; ++s) {
          double dot = 0;
          for (size_t i = 0; i < dim; ++i) dot += q[t][mine + i] * k[s][theirs + i];
          scores.push_back(std::exp(dot * attention.scale));
          sum += scores.back();
        }
        for (size_t s = 0; s <= t; ++s)
          for (size_t i = 0; i < dim; ++i) out[t][mine + i] += scores[s] / sum * v[s][theirs + i];
      }
      for (size_t i = 0; !gates.empty() && i < out[t].size(); ++i)
        out[t][i] *= sigmoid(gates[t][i]);
    }
    return apply(attention.o, out);
  }

  static Rows convolve(const DeltaNet& net, const Rows& in) {
    const std::vector<float> weight = floats_of(net.conv);
    const auto kernel = static_cast<size_t>(net.conv_kernel);
    Rows out = in;
    for (size_t t = 0; t < in.size(); ++t) {
      for (size_t c = 0; c < in[t].size(); ++c) {
        double sum = 0;
        for (size_t age = 0; age < kernel && age <= t; ++age)
          sum += weight[c * kernel + kernel - 1 - age] * in[t - age][c];
        out[t][c] = silu(sum);
      }
    }
    return out;
  }

  /// Scaled to length `length`.
  static Row unit(const Row& row, size_t begin, size_t size, double length) {
    Row out(row.begin() + static_cast<ptrdiff_t>(begin),
            row.begin() + static_cast<ptrdiff_t>(begin + size));
    double squares = 1e-6;
    for (const double x : out) squares += x * x;
    for (double& x : out) x *= length / std::sqrt(squares);
    return out;
  }

  static Rows mix(const DeltaNet& net, const Rows& in) {
    const Rows c = convolve(net, apply(net.qkv, in));
    const Rows z = apply(net.z, in), a = apply(net.a, in), b = apply(net.b, in);
    const std::vector<float> rates = floats_of(net.decay_rate), dt_bias = floats_of(net.dt_bias);
    const auto keys = static_cast<size_t>(net.key_dim), values = static_cast<size_t>(net.value_dim);
    const auto key_heads = static_cast<size_t>(net.key_heads);
    const auto value_heads = static_cast<size_t>(net.value_heads);
    Rows out(in.size(), Row(value_heads * values));
    for (size_t h = 0; h < value_heads; ++h) {
      const size_t key_head = net.tiled_heads ? h % key_heads : h / (value_heads / key_heads);
      Rows state(keys, Row(values));
      for (size_t t = 0; t < in.size(); ++t) {
        const Row query =
            unit(c[t], key_head * keys, keys, 1 / std::sqrt(static_cast<double>(keys)));
        const Row key = unit(c[t], (key_heads + key_head) * keys, keys, 1);
        const double decay = std::exp(rates[h] * softplus(a[t][h] + dt_bias[h]));
        for (size_t j = 0; j < values; ++j) {
          double seen = 0;
          for (size_t i = 0; i < keys; ++i) seen += (state[i][j] *= decay) * key[i];
          const double value = c[t][2 * key_heads * keys + h * values + j];
          const double delta = sigmoid(b[t][h]) * (value - seen);
          for (size_t i = 0; i < keys; ++i) {
            state[i][j] += key[i] * delta;
            out[t][h * values + j] += state[i][j] * query[i];
          }
        }
      }
    }
    out = norm(net.norm, std::move(out));
    for (size_t t = 0; t < out.size(); ++t)
      for (size_t i = 0; i < out[t].size(); ++i) out[t][i] *= silu(z[t][i]);
    return apply(net.o, out);
  }

  const ModelSpec& spec_;
};

}  // namespace mokume::testing
