#include "cli/inspect.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "model/gguf_tokenizer.h"
#include "model/layer_tensors.h"
#include "model/load_spec.h"

namespace mokume {
namespace {

using Json = nlohmann::ordered_json;

/// Bytes, parameters and tensors of one element type.
struct TypeShare {
  int tensors = 0;
  uint64_t parameters = 0;
  uint64_t bytes = 0;
};

struct LayerReport {
  std::string types;  ///< of the linear weights: "Q4_1", "Q4_0, Q8_0"
  uint64_t bytes = 0;
};

struct Report {
  std::string path;
  uint32_t gguf_version = 0;
  ModelSpec spec;
  Attention attention;  ///< of the first layer
  int ffn_hidden = 0;
  std::string tokenizer;
  std::map<std::string, TypeShare> types;
  std::vector<LayerReport> layers;
  uint64_t parameters = 0;
  uint64_t layers_bytes = 0;
  uint64_t head_bytes = 0;  ///< 0 when tied
  uint64_t total_bytes = 0;
  uint64_t kv_bytes_per_token = 0;  ///< F16
};

void count(const TensorView& tensor, Report& report) {
  TypeShare& share = report.types[std::string(dtype_info(tensor.dtype).name)];
  const auto parameters = static_cast<uint64_t>(tensor.rows() * tensor.columns());
  ++share.tensors;
  share.parameters += parameters;
  share.bytes += tensor.bytes;
  report.parameters += parameters;
  report.total_bytes += tensor.bytes;
}

std::string matrix_types(const LayerSpec& layer) {
  std::vector<std::string> names;
  for (const TensorView& tensor : layer_tensors(layer)) {
    if (tensor.rank > 1) names.emplace_back(dtype_info(tensor.dtype).name);
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Result<std::string> describe_tokenizer(const GgufFile& file) {
  MKM_ASSIGN_OR_RETURN(const std::optional<TokenizerSpec> spec, load_gguf_tokenizer(file));
  if (!spec) return std::string("none");
  return str_cat("BPE, ", spec->pre_tokenizer, ", ", spec->tokens.size(), " tokens");
}

Result<Report> make_report(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const std::shared_ptr<GgufFile> file, GgufFile::open(path));
  Report report;
  MKM_ASSIGN_OR_RETURN(report.spec, load_spec(*file));
  MKM_ASSIGN_OR_RETURN(report.tokenizer, describe_tokenizer(*file));
  report.path = path;
  report.gguf_version = file->version();
  for (const LayerSpec& layer : report.spec.layers) {
    report.layers.push_back({matrix_types(layer), layer_weight_bytes(layer)});
    report.layers_bytes += report.layers.back().bytes;
    report.kv_bytes_per_token += layer_kv_elements(layer) * sizeof(uint16_t);
  }
  for (const std::string& name : file->names()) {
    MKM_ASSIGN_OR_RETURN(const TensorView tensor, file->tensor(name));
    count(tensor, report);
  }
  report.attention = std::get<Attention>(report.spec.layers.front().mixer);
  report.ffn_hidden = std::get<SwiGlu>(report.spec.layers.front().ffn).hidden;
  if (!report.spec.tied_head) report.head_bytes = report.spec.head.weight.bytes;
  return report;
}

Json to_json(const Report& r) {
  Json types = Json::object();
  for (const auto& [name, share] : r.types) {
    types[name] = {
        {"tensors", share.tensors}, {"parameters", share.parameters}, {"bytes", share.bytes}};
  }
  Json layers = Json::array();
  for (const LayerReport& layer : r.layers) {
    layers.push_back({{"types", layer.types}, {"bytes", layer.bytes}});
  }
  return {{"path", r.path},
          {"format", str_cat("GGUF v", r.gguf_version)},
          {"name", r.spec.name},
          {"architecture", r.spec.architecture},
          {"parameters", r.parameters},
          {"context_length", r.spec.context_length},
          {"vocab_size", r.spec.vocab_size},
          {"hidden_size", r.spec.hidden_size},
          {"ffn_size", r.ffn_hidden},
          {"heads", r.attention.heads},
          {"kv_heads", r.attention.kv_heads},
          {"head_dim", r.attention.head_dim},
          {"tied_head", r.spec.tied_head},
          {"tokenizer", r.tokenizer},
          {"types", types},
          {"layers", layers},
          {"bytes",
           {{"embedding", r.spec.embedding.bytes},
            {"layers", r.layers_bytes},
            {"head", r.head_bytes},
            {"total", r.total_bytes}}},
          {"kv_bytes_per_token", r.kv_bytes_per_token}};
}

/// "12.3 MiB"
std::string size_text(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

/// Control characters of a file's own words must not reach a terminal.
std::string printable(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

void write_row(std::ostream& out, std::string_view label, const std::string& value) {
  std::string padded(label);
  padded.resize(std::max<size_t>(padded.size() + 1, 16), ' ');
  out << padded << value << "\n";
}

/// Layers that follow each other and are alike share a line: "0-29  3.1 MiB each  Q4_1".
void write_layers(std::ostream& out, const std::vector<LayerReport>& layers) {
  for (size_t first = 0; first < layers.size();) {
    size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1].bytes == layers[first].bytes &&
           layers[last + 1].types == layers[first].types) {
      ++last;
    }
    const std::string range = first == last ? str_cat(first) : str_cat(first, "-", last);
    write_row(out, str_cat("  layer ", range),
              str_cat(size_text(layers[first].bytes), first == last ? "" : " each", "  ",
                      layers[first].types));
    first = last + 1;
  }
}

void write_table(std::ostream& out, const Report& r) {
  write_row(out, "model", printable(r.spec.name));
  write_row(out, "file", str_cat(r.path, " (GGUF v", r.gguf_version, ")"));
  write_row(out, "architecture", r.spec.architecture);
  write_row(out, "parameters", str_cat(r.parameters));
  write_row(out, "context", str_cat(r.spec.context_length, " tokens"));
  write_row(out, "vocabulary", str_cat(r.spec.vocab_size));
  write_row(out, "tokenizer", printable(r.tokenizer));
  write_row(out, "hidden, ffn", str_cat(r.spec.hidden_size, ", ", r.ffn_hidden));
  write_row(out, "attention",
            str_cat(r.attention.heads, " heads on ", r.attention.kv_heads, " kv heads of ",
                    r.attention.head_dim));
  write_row(out, "layers", str_cat(r.layers.size(), ", ", size_text(r.layers_bytes)));
  write_layers(out, r.layers);
  write_row(out, "embedding",
            str_cat(size_text(r.spec.embedding.bytes), "  ", to_string(r.spec.embedding)));
  write_row(out, "head",
            r.spec.tied_head
                ? std::string("the embedding's own (tied)")
                : str_cat(size_text(r.head_bytes), "  ", to_string(r.spec.head.weight)));
  for (const auto& [name, share] : r.types) {
    write_row(out, str_cat("type ", name),
              str_cat(share.tensors, " tensors, ", size_text(share.bytes)));
  }
  write_row(out, "total", size_text(r.total_bytes));
  write_row(
      out, "KV per token",
      str_cat(size_text(r.kv_bytes_per_token), " (F16), ",
              size_text(r.kv_bytes_per_token * r.spec.context_length), " for a full context"));
}

}  // namespace

Status run_inspect(const std::string& model_path, bool json, std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(const Report report, make_report(model_path));
  if (json) {
    // Names come from the file and may be no UTF-8.
    out << to_json(report).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  } else {
    write_table(out, report);
  }
  return absl::OkStatus();
}

}  // namespace mokume
