#include "model/memory.h"

#include "base/checked.h"
#include "model/convert.h"
#include "model/layer_tensors.h"
#include "model/linear.h"

namespace mokume {
namespace {

uint64_t bytes_of(const Linear& linear) { return linear_bytes(linear); }

uint64_t bytes_of(const std::optional<RmsNorm>& norm) { return norm ? norm->weight.bytes : 0; }

uint64_t bytes_of(const Attention& attention) {
  return bytes_of(attention.q) + bytes_of(attention.k) + bytes_of(attention.v) +
         bytes_of(attention.o) + bytes_of(attention.q_norm) + bytes_of(attention.k_norm);
}

uint64_t bytes_of(const DeltaNet& net) {
  uint64_t bytes =
      net.conv.bytes + net.decay_rate.bytes + net.dt_bias.bytes + net.norm.weight.bytes;
  for (const Linear* linear : {&net.qkv, &net.z, &net.a, &net.b, &net.o})
    bytes += bytes_of(*linear);
  return bytes;
}

uint64_t bytes_of(const SwiGlu& ffn) {
  return bytes_of(ffn.gate) + bytes_of(ffn.up) + bytes_of(ffn.down);
}

uint64_t bytes_of(const LayerSpec& layer) {
  const auto block_bytes = [](const auto& block) { return bytes_of(block); };
  return layer.mixer_norm.weight.bytes + std::visit(block_bytes, layer.mixer) +
         layer.ffn_norm.weight.bytes + std::visit(block_bytes, layer.ffn);
}

/// Bytes that one token adds to the layer's KV.
std::optional<uint64_t> kv_bytes(const Attention& attention, KvType type) {
  if (attention.kv_heads <= 0 || attention.head_dim <= 0) return std::nullopt;
  const uint64_t head = static_cast<uint64_t>(attention.head_dim) * element_bytes(type) +
                        (has_scales(type) ? sizeof(float) : 0);
  return checked_mul(2 * head, static_cast<uint64_t>(attention.kv_heads));
}

std::optional<uint64_t> kv_bytes(const DeltaNet&, KvType) { return 0; }

/// Numbers of one sequence's state in the layer.
uint64_t state_elements(const Attention&) { return 0; }
uint64_t state_elements(const DeltaNet& net) {
  const auto matrix = uint64_t(net.value_width()) * static_cast<uint64_t>(net.key_dim);
  const auto inputs = uint64_t(net.channels()) * static_cast<uint64_t>(net.conv_kernel - 1);
  return matrix + inputs;
}

}  // namespace

uint64_t stage_weight_bytes(const ModelSpec& spec, int first_layer, int last_layer,
                            WeightFormat format) {
  uint64_t bytes = 0;
  for (int i = first_layer; i < last_layer; ++i) {
    const LayerSpec& layer = spec.layers[i];
    bytes += bytes_of(layer);
    for (const Linear* linear : layer_linears(layer)) {
      bytes -= converted_bytes(*linear, WeightFormat::kKeep);
      bytes += converted_bytes(*linear, layer_format(layer, *linear, format));
    }
  }
  const bool starts = first_layer == 0;
  const bool ends = last_layer == static_cast<int>(spec.layers.size());
  if (starts) bytes += spec.embedding.bytes;
  if (ends) bytes += spec.final_norm.weight.bytes;
  const WeightFormat head = head_format(spec.head, format);
  const bool one_tensor = starts && spec.tied_head && head == WeightFormat::kKeep;
  if (ends && !one_tensor) bytes += converted_bytes(spec.head, head) + spec.head.bias.bytes;
  return bytes;
}

std::optional<uint64_t> stage_kv_page_bytes(const ModelSpec& spec, int first_layer, int last_layer,
                                            int page_tokens, KvType type) {
  uint64_t total = 0;
  for (int layer = first_layer; layer < last_layer; ++layer) {
    const auto token = std::visit([&](const auto& mixer) { return kv_bytes(mixer, type); },
                                  spec.layers[layer].mixer);
    const auto bytes =
        token ? checked_mul(*token, static_cast<uint64_t>(page_tokens)) : std::nullopt;
    const auto sum = bytes ? checked_add(total, *bytes) : std::nullopt;
    if (!sum) return std::nullopt;
    total = *sum;
  }
  return total;
}

uint64_t stage_state_bytes(const ModelSpec& spec, int first_layer, int last_layer) {
  uint64_t elements = 0;
  for (int layer = first_layer; layer < last_layer; ++layer) {
    elements += std::visit([](const auto& mixer) { return state_elements(mixer); },
                           spec.layers[layer].mixer);
  }
  return elements * sizeof(float);
}

}  // namespace mokume
