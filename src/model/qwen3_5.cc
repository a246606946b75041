// Qwen3.5: the gated delta rule in most layers, softmax attention with a gate on its output and
// rope on a part of each head in every fourth. Released checkpoints are vision-language models with
// a layer that predicts a second token; of those the language model alone is read.
#include "model/qwen3_5.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "base/log.h"
#include "model/gguf_decoder.h"
#include "model/load_spec.h"

namespace mokume {
namespace {

constexpr int kUsualInterval = 4;  ///< of the attention layers
constexpr std::string_view kRecurrentLayers = "attention.recurrent_layers";

constexpr DeltaNetNames kGgufDeltaNet = {.qkv = "attn_qkv",
                                         .z = "attn_gate",
                                         .a = "ssm_alpha",
                                         .b = "ssm_beta",
                                         .o = "ssm_out",
                                         .norm = "ssm_norm",
                                         .conv = "ssm_conv1d.weight",
                                         .dt_bias = "ssm_dt.bias",
                                         .decay_rate = "ssm_a",
                                         .log_of_decay_rate = {}};

constexpr DeltaNetNames kHfDeltaNet = {.qkv = "linear_attn.in_proj_qkv",
                                       .z = "linear_attn.in_proj_z",
                                       .a = "linear_attn.in_proj_a",
                                       .b = "linear_attn.in_proj_b",
                                       .o = "linear_attn.out_proj",
                                       .norm = "linear_attn.norm",
                                       .conv = "linear_attn.conv1d.weight",
                                       .dt_bias = "linear_attn.dt_bias",
                                       .decay_rate = {},
                                       .log_of_decay_rate = "linear_attn.A_log",
                                       .conv_has_inner_dim = true};

/// Every `interval`-th layer is attention.
std::vector<bool> recurrent_by_interval(int layers, int interval) {
  std::vector<bool> recurrent;
  for (int layer = 1; layer <= layers; ++layer) recurrent.push_back(layer % interval != 0);
  return recurrent;
}

void log_skipped(const std::string& path, int vision, int prediction) {
  if (vision + prediction == 0) return;
  log().info("{}: skipping {} tensors of the vision tower and {} of multi-token prediction", path,
             vision, prediction);
}

// GGUF. llama.cpp's converter reorders the value heads from grouped to tiled and folds the 1 into
// the norms.

/// The layers that predict further tokens are the last ones of block_count.
Status drop_prediction_layers(Checkpoint& checkpoint, DecoderShape& shape) {
  MKM_ASSIGN_OR_RETURN(const int dropped,
                       checkpoint.integer("nextn_predict_layers", 0, shape.layers - 1, 0));
  int tensors = 0;
  for (int i = 0; i < dropped; ++i) {
    tensors += checkpoint.ignore_all(str_cat("blk.", --shape.layers, "."));
  }
  log_skipped(checkpoint.file().path(), 0, tensors);
  return absl::OkStatus();
}

Result<std::vector<bool>> gguf_recurrent_layers(const Checkpoint& checkpoint, int layers) {
  MKM_ASSIGN_OR_RETURN(const int interval, checkpoint.integer("full_attention_interval", 1,
                                                              kMaxLayers, kUsualInterval));
  if (!checkpoint.has_key(kRecurrentLayers)) return recurrent_by_interval(layers, interval);
  MKM_ASSIGN_OR_RETURN(std::vector<bool> recurrent, checkpoint.flags(kRecurrentLayers));
  MKM_ASSIGN_OR_RETURN(const int blocks, checkpoint.integer("block_count", 1, kMaxLayers));
  const auto size = static_cast<int64_t>(recurrent.size());
  if (size != layers && size != blocks) {
    return checkpoint.error(kRecurrentLayers, " has ", size, " elements; block_count is ", blocks);
  }
  recurrent.resize(static_cast<size_t>(layers));
  return recurrent;
}

Result<DeltaNetShape> gguf_delta_net(const Checkpoint& checkpoint) {
  DeltaNetShape net;
  net.tiled_heads = true;
  MKM_ASSIGN_OR_RETURN(net.key_heads, checkpoint.integer("ssm.group_count", 1, kMaxHeads));
  MKM_ASSIGN_OR_RETURN(net.value_heads, checkpoint.integer("ssm.time_step_rank", 1, kMaxHeads));
  MKM_ASSIGN_OR_RETURN(net.key_dim, checkpoint.integer("ssm.state_size", 1, kMaxHeadDim));
  MKM_ASSIGN_OR_RETURN(net.conv_kernel,
                       checkpoint.integer("ssm.conv_kernel", kMinConvKernel, kMaxConvKernel));
  MKM_ASSIGN_OR_RETURN(const int width,
                       checkpoint.integer("ssm.inner_size", 1, kMaxHeads * kMaxHeadDim));
  net.value_dim = width / net.value_heads;
  if (net.value_heads % net.key_heads != 0) {
    return checkpoint.error("ssm.time_step_rank ", net.value_heads,
                            " is no multiple of ssm.group_count ", net.key_heads);
  }
  if (width % net.value_heads == 0 && net.value_dim <= kMaxHeadDim) return net;
  return checkpoint.error("ssm.inner_size ", width, " is not ssm.time_step_rank ", net.value_heads,
                          " times 1 to ", kMaxHeadDim);
}

Status refine_gguf(Checkpoint& checkpoint, DecoderShape& shape, DecoderNames& names) {
  MKM_RETURN_IF_ERROR(drop_prediction_layers(checkpoint, shape));
  MKM_ASSIGN_OR_RETURN(shape.recurrent, gguf_recurrent_layers(checkpoint, shape.layers));
  MKM_ASSIGN_OR_RETURN(shape.delta_net, gguf_delta_net(checkpoint));
  shape.output_gate = true;
  names.ffn_norm = "post_attention_norm";
  names.delta_net = kGgufDeltaNet;
  return absl::OkStatus();
}

// Hugging Face.

Result<std::vector<bool>> hf_recurrent_layers(const HfConfig& config, int layers) {
  MKM_ASSIGN_OR_RETURN(const int interval,
                       config.integer("full_attention_interval", 1, kMaxLayers, kUsualInterval));
  if (!config.has("layer_types")) return recurrent_by_interval(layers, interval);
  MKM_ASSIGN_OR_RETURN(const std::vector<std::string> types, config.texts("layer_types"));
  if (types.size() != static_cast<size_t>(layers)) {
    return config.error("layer_types has ", types.size(), " elements; num_hidden_layers is ",
                        layers);
  }
  std::vector<bool> recurrent;
  for (const std::string& type : types) {
    recurrent.push_back(type == "linear_attention");
    if (recurrent.back() || type == "full_attention") continue;
    return config.error("layer_types has \"", absl::CHexEscape(type),
                        "\"; supported are full_attention and linear_attention");
  }
  return recurrent;
}

Result<DeltaNetShape> hf_delta_net(const HfConfig& config) {
  DeltaNetShape net;
  MKM_ASSIGN_OR_RETURN(net.key_heads, config.integer("linear_num_key_heads", 1, kMaxHeads, 16));
  MKM_ASSIGN_OR_RETURN(net.value_heads, config.integer("linear_num_value_heads", 1, kMaxHeads, 32));
  MKM_ASSIGN_OR_RETURN(net.key_dim, config.integer("linear_key_head_dim", 1, kMaxHeadDim, 128));
  MKM_ASSIGN_OR_RETURN(net.value_dim, config.integer("linear_value_head_dim", 1, kMaxHeadDim, 128));
  MKM_ASSIGN_OR_RETURN(net.conv_kernel,
                       config.integer("linear_conv_kernel_dim", kMinConvKernel, kMaxConvKernel, 4));
  if (net.value_heads % net.key_heads == 0) return net;
  return config.error("linear_num_value_heads ", net.value_heads,
                      " is no multiple of linear_num_key_heads ", net.key_heads);
}

}  // namespace

Status refine_hf_qwen3_5(const HfConfig& config, TensorReader& reader, DecoderShape& shape,
                         DecoderNames& names) {
  MKM_ASSIGN_OR_RETURN(shape.recurrent, hf_recurrent_layers(config, shape.layers));
  MKM_ASSIGN_OR_RETURN(shape.delta_net, hf_delta_net(config));
  shape.output_gate = true;
  shape.zero_centred_norms = true;
  names.delta_net = kHfDeltaNet;
  if (reader.has_tensor("model.language_model.embed_tokens.weight")) {
    names.embedding = "model.language_model.embed_tokens";
    names.final_norm = "model.language_model.norm";
    names.block = "model.language_model.layers.";
  }
  log_skipped(reader.path(), reader.ignore_all("model.visual."), reader.ignore_all("mtp."));
  return absl::OkStatus();
}

Result<ModelSpec> load_qwen3_5(const GgufFile& file) {
  MKM_ASSIGN_OR_RETURN(
      ModelSpec spec,
      load_gguf_decoder(file, {.architecture = "qwen35", .qk_norm = true, .refine = refine_gguf}));
  spec.architecture = "qwen3_5";
  return spec;
}

}  // namespace mokume
