#include "model/decoder.h"

#include <cmath>

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
    MKM_ASSIGN_OR_RETURN(layer.mixer, load_attention());
    MKM_ASSIGN_OR_RETURN(layer.ffn_norm, norm(block_name(names_.ffn_norm), shape_.hidden));
    MKM_ASSIGN_OR_RETURN(layer.ffn, load_ffn());
    return layer;
  }

 private:
  std::string block_name(std::string_view name) const { return str_cat(block_, name); }

  Result<RmsNorm> norm(std::string_view name, int size) {
    return reader_.norm(name, size, shape_.epsilon);
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
    MKM_ASSIGN_OR_RETURN(attention.q, linear(names_.q, q, hidden, shape_.qkv_bias));
    MKM_ASSIGN_OR_RETURN(attention.k, linear(names_.k, kv, hidden, shape_.qkv_bias));
    MKM_ASSIGN_OR_RETURN(attention.v, linear(names_.v, kv, hidden, shape_.qkv_bias));
    MKM_ASSIGN_OR_RETURN(attention.o, linear(names_.o, hidden, q, shape_.o_bias));
    if (!shape_.qk_norm) return attention;
    MKM_ASSIGN_OR_RETURN(attention.q_norm, norm(block_name(names_.q_norm), head_dim));
    MKM_ASSIGN_OR_RETURN(attention.k_norm, norm(block_name(names_.k_norm), head_dim));
    return attention;
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
