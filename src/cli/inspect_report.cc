#include "cli/inspect_report.h"

#include "model/linear.h"
#include "model/load_model.h"
#include "model/memory.h"
#include "quantize/part.h"
#include "weights/gguf.h"

namespace mokume {
namespace {

uint64_t parameters_of(const TensorView& view) {
  return static_cast<uint64_t>(view.rows() * view.columns());
}

/// As people call it: what E2M1 with scales beside it is.
std::string format_name(DType type) {
  switch (type) {
    case DType::kE2M1:
      return "NVFP4";
    case DType::kI8:
      return "INT8";
    case DType::kF8_E4M3:
      return "FP8";
    default:
      return std::string(dtype_info(type).name);
  }
}

void add(Formats& formats, const TensorView& view, uint64_t bytes) {
  FormatShare& share = formats[format_name(view.dtype)];
  ++share.tensors;
  share.parameters += parameters_of(view);
  share.bytes += bytes;
}

/// One spec, part by part.
class Collector {
 public:
  Collector(const ModelSpec& spec, ModelReport& report) : spec_(spec), report_(report) {}

  void collect() {
    for (size_t i = 0; i < spec_.layers.size(); ++i) add_layer(static_cast<int>(i));
    for (const Part& part : parts_of(spec_)) add_part(part);
    report_.embedding_bytes = spec_.embedding.bytes;
    if (!spec_.tied_head) report_.head_bytes = linear_bytes(spec_.head);
    report_.total_bytes = stage_weight_bytes(spec_, 0, static_cast<int>(spec_.layers.size()));
    report_.layers_bytes = report_.total_bytes - report_.embedding_bytes - report_.head_bytes -
                           spec_.final_norm.weight.bytes;
  }

 private:
  void add_layer(int index) {
    const LayerSpec& spec = spec_.layers[static_cast<size_t>(index)];
    LayerReport layer;
    const auto* attention = std::get_if<Attention>(&spec.mixer);
    layer.mixer = attention != nullptr ? "attention" : "delta net";
    if (attention != nullptr && report_.attention_layers++ == 0) report_.attention = *attention;
    if (attention == nullptr && report_.deltas.empty()) {
      report_.deltas.push_back(std::get<DeltaNet>(spec.mixer));
    }
    if (index == 0) report_.ffn_hidden = std::get<SwiGlu>(spec.ffn).hidden;
    layer.kv_bytes = stage_kv_page_bytes(spec_, index, index + 1, 1, KvType::kF16).value_or(0);
    layer.state_bytes = stage_state_bytes(spec_, index, index + 1);
    report_.kv_bytes_per_token += layer.kv_bytes;
    report_.state_bytes += layer.state_bytes;
    report_.layers.push_back(std::move(layer));
  }

  void add_part(const Part& part) {
    const TensorView& view = part.is_matrix() ? part.linear.weight : part.vector;
    const uint64_t bytes = part.is_matrix() ? linear_bytes(part.linear) : view.bytes;
    report_.parameters += parameters_of(view);
    add(report_.formats, view, bytes);
    if (part.layer < 0) return;
    LayerReport& layer = report_.layers[static_cast<size_t>(part.layer)];
    layer.bytes += bytes;
    if (part.is_matrix()) add(layer.matrices, view, bytes);
  }

  const ModelSpec& spec_;
  ModelReport& report_;
};

std::string describe_tokenizer(const Tokenizer* tokenizer) {
  if (tokenizer == nullptr) return "none";
  const std::string& split = tokenizer->spec().pre_tokenizer;
  return str_cat("BPE, ", split.empty() ? "" : str_cat(split, ", "), tokenizer->vocab_size(),
                 " tokens");
}

}  // namespace

Result<ModelReport> inspect_model(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const LoadedModel loaded, load_model(path));
  const ModelSpec& spec = loaded.model->spec;
  const WeightSource& weights = *loaded.model->weights;
  ModelReport report;
  report.path = path;
  const auto* gguf = dynamic_cast<const GgufFile*>(&weights);
  report.container =
      gguf != nullptr ? str_cat("GGUF v", gguf->version()) : "Hugging Face directory";
  report.name = spec.name;
  report.architecture = spec.architecture;
  report.vocab_size = spec.vocab_size;
  report.hidden_size = spec.hidden_size;
  report.context_length = spec.context_length;
  report.tied_head = spec.tied_head;
  report.tokenizer = describe_tokenizer(loaded.tokenizer.get());
  report.embedding = to_string(spec.embedding);
  report.head = to_string(spec.head.weight);
  Collector(spec, report).collect();
  for (const std::string& name : weights.names()) {
    const Result<TensorView> view = weights.tensor(name);
    if (view.ok()) report.stored_bytes += view->bytes;  // others are of types that we do not use
  }
  return report;
}

}  // namespace mokume
