#include "model/decoder.h"

#include <cmath>
#include <cstring>

namespace mokume {
namespace {

/// One checkpoint's tensors by their roles.
class DecoderLoader {
 public:
  DecoderLoader(TensorReader& reader, const DecoderShape& shape, const DecoderNames& names)
      : reader_(reader), shape_(shape), names_(names) {}

  Status load_ends(ModelSpec& spec) {
    const std::string embedding = str_cat(names_.embedding, ".weight");
    MKM_ASSIGN_OR_RETURN(const TensorView view, reader_.tensor_of_rank(embedding, 2));
    const int64_t vocab = view.shape[0];
    if (vocab > kMaxVocab) {
      return reader_.error("tensor ", embedding, " is ", to_string(view), "; at most ", kMaxVocab,
                           " rows are allowed");
    }
    spec.vocab_size = static_cast<int>(vocab);
    MKM_ASSIGN_OR_RETURN(spec.embedding, reader_.tensor(embedding, {vocab, shape_.hidden}));
    MKM_ASSIGN_OR_RETURN(spec.final_norm, norm(names_.final_norm, shape_.hidden));
    const std::string head = str_cat(names_.head, ".weight");
    spec.tied_head = shape_.tied_head.value_or(!reader_.has_tensor(head));
    if (!spec.tied_head) {
      MKM_ASSIGN_OR_RETURN(spec.head, reader_.linear(names_.head, vocab, shape_.hidden));
      return absl::OkStatus();
    }
    spec.head.weight = spec.embedding;
    reader_.ignore(head);  // some files hold the embedding twice
    return absl::OkStatus();
  }

  Result<LayerSpec> load_layer(int index) {
    block_ = str_cat(names_.block, index, ".");
    LayerSpec layer;
    MKM_ASSIGN_OR_RETURN(layer.mixer_norm, norm(block_name(names_.mixer_norm), shape_.hidden));
    if (!shape_.recurrent.empty() && shape_.recurrent[static_cast<size_t>(index)]) {
      MKM_ASSIGN_OR_RETURN(layer.mixer, load_delta_net());
    } else {
      MKM_ASSIGN_OR_RETURN(layer.mixer, load_attention());
    }
    MKM_ASSIGN_OR_RETURN(layer.ffn_norm, norm(block_name(names_.ffn_norm), shape_.hidden));
    MKM_ASSIGN_OR_RETURN(layer.ffn, load_ffn());
    return layer;
  }

 private:
  std::string block_name(std::string_view name) const { return str_cat(block_, name); }

  Result<RmsNorm> norm(std::string_view name, int size) {
    return reader_.norm(name, size, shape_.epsilon, shape_.zero_centred_norms);
  }

  Result<Linear> linear(std::string_view name, int64_t outputs, int64_t inputs,
                        std::optional<bool> bias) {
    const std::string full = block_name(name);
    MKM_ASSIGN_OR_RETURN(Linear linear, reader_.linear(full, outputs, inputs));
    if (!bias || *bias == static_cast<bool>(linear.bias)) return linear;
    return reader_.error("tensor ", full, ".bias is ", *bias ? "missing" : "there",
                         "; the model says that the layer has ", *bias ? "one" : "none");
  }

  Result<Attention> load_attention() {
    const int head_dim = shape_.head_dim;
    Attention attention;
    attention.heads = shape_.heads;
    attention.kv_heads = shape_.kv_heads;
    attention.head_dim = head_dim;
    attention.scale = 1 / std::sqrt(static_cast<float>(head_dim));
    attention.rope = shape_.rope;
    const int64_t q = int64_t{shape_.heads} * head_dim;
    const int64_t kv = int64_t{shape_.kv_heads} * head_dim;
    const int64_t hidden = shape_.hidden;
    attention.output_gate = shape_.output_gate;
    const int64_t q_rows = shape_.output_gate ? 2 * q : q;
    MKM_ASSIGN_OR_RETURN(attention.q, linear(names_.q, q_rows, hidden, shape_.qkv_bias));
    MKM_ASSIGN_OR_RETURN(attention.k, linear(names_.k, kv, hidden, shape_.qkv_bias));
    MKM_ASSIGN_OR_RETURN(attention.v, linear(names_.v, kv, hidden, shape_.qkv_bias));
    MKM_ASSIGN_OR_RETURN(attention.o, linear(names_.o, hidden, q, shape_.o_bias));
    if (!shape_.qk_norm) return attention;
    MKM_ASSIGN_OR_RETURN(attention.q_norm, norm(block_name(names_.q_norm), head_dim));
    MKM_ASSIGN_OR_RETURN(attention.k_norm, norm(block_name(names_.k_norm), head_dim));
    return attention;
  }

  Result<DeltaNet> load_delta_net() {
    const DeltaNetShape& shape = shape_.delta_net;
    const DeltaNetNames& names = names_.delta_net;
    DeltaNet net;
    net.key_heads = shape.key_heads;
    net.value_heads = shape.value_heads;
    net.key_dim = shape.key_dim;
    net.value_dim = shape.value_dim;
    net.conv_kernel = shape.conv_kernel;
    net.tiled_heads = shape.tiled_heads;
    const int64_t hidden = shape_.hidden;
    MKM_ASSIGN_OR_RETURN(net.qkv, linear(names.qkv, net.channels(), hidden, false));
    MKM_ASSIGN_OR_RETURN(net.z, linear(names.z, net.value_width(), hidden, false));
    MKM_ASSIGN_OR_RETURN(net.a, linear(names.a, net.value_heads, hidden, false));
    MKM_ASSIGN_OR_RETURN(net.b, linear(names.b, net.value_heads, hidden, false));
    MKM_ASSIGN_OR_RETURN(net.o, linear(names.o, hidden, net.value_width(), false));
    MKM_ASSIGN_OR_RETURN(net.conv, load_conv(net));
    MKM_ASSIGN_OR_RETURN(net.dt_bias, reader_.vector(block_name(names.dt_bias), net.value_heads));
    MKM_ASSIGN_OR_RETURN(net.decay_rate, load_decay_rate(net.value_heads));
    MKM_ASSIGN_OR_RETURN(net.norm,
                         reader_.norm(block_name(names.norm), net.value_dim, shape_.epsilon));
    return net;
  }

  Result<TensorView> load_conv(const DeltaNet& net) {
    const std::string name = block_name(names_.delta_net.conv);
    const int64_t channels = net.channels(), kernel = net.conv_kernel;
    if (!names_.delta_net.conv_has_inner_dim) return reader_.floats(name, {channels, kernel});
    MKM_ASSIGN_OR_RETURN(TensorView conv, reader_.floats(name, {channels, 1, kernel}));
    conv.rank = 2;
    conv.shape = {channels, kernel};
    return conv;
  }

  /// What is above 0 or no number would make a state grow without end.
  Result<TensorView> load_decay_rate(int heads) {
    const DeltaNetNames& names = names_.delta_net;
    const bool log = !names.log_of_decay_rate.empty();
    const std::string name = block_name(log ? names.log_of_decay_rate : names.decay_rate);
    const auto negative_exp = [](float value) { return -std::exp(value); };
    MKM_ASSIGN_OR_RETURN(
        const TensorView rates,
        log ? reader_.mapped_vector(name, heads, negative_exp) : reader_.vector(name, heads));
    std::vector<float> values(static_cast<size_t>(heads));
    std::memcpy(values.data(), rates.data, rates.bytes);
    for (const float value : values) {
      if (std::isfinite(value) && value <= 0) continue;
      return reader_.error("tensor ", name, " gives a head the decay rate ", value,
                           "; must be finite and at most 0");
    }
    return rates;
  }

  Result<SwiGlu> load_ffn() {
    const int64_t inner = shape_.ffn_hidden;
    const int64_t hidden = shape_.hidden;
    SwiGlu ffn;
    ffn.hidden = shape_.ffn_hidden;
    MKM_ASSIGN_OR_RETURN(ffn.gate, linear(names_.gate, inner, hidden, shape_.ffn_bias));
    MKM_ASSIGN_OR_RETURN(ffn.up, linear(names_.up, inner, hidden, shape_.ffn_bias));
    MKM_ASSIGN_OR_RETURN(ffn.down, linear(names_.down, hidden, inner, shape_.ffn_bias));
    return ffn;
  }

  TensorReader& reader_;
  const DecoderShape& shape_;
  const DecoderNames& names_;
  std::string block_;  ///< "blk.3."
};

}  // namespace

Result<ModelSpec> load_decoder(TensorReader& reader, const DecoderShape& shape,
                               const DecoderNames& names) {
  DecoderLoader loader(reader, shape, names);
  ModelSpec spec;
  spec.architecture = reader.architecture();
  spec.hidden_size = shape.hidden;
  spec.context_length = shape.context_length;
  MKM_RETURN_IF_ERROR(loader.load_ends(spec));
  for (int i = 0; i < shape.layers; ++i) {
    MKM_ASSIGN_OR_RETURN(LayerSpec layer, loader.load_layer(i));
    spec.layers.push_back(std::move(layer));
  }
  MKM_RETURN_IF_ERROR(reader.check_all_used());
  spec.converted = reader.converted();
  return spec;
}

}  // namespace mokume
