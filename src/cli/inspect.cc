#include "cli/inspect.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/inspect_report.h"

namespace mokume {
namespace {

using Json = nlohmann::ordered_json;

/// Other ways to hold the same parameters, in bits.
struct Yardstick {
  const char* name;
  int bits;
};
constexpr std::array kYardsticks = {Yardstick{"FP32", 32}, Yardstick{"FP16", 16},
                                    Yardstick{"FP8", 8}};

double bits_per_parameter(const ModelReport& r) {
  return 8.0 * static_cast<double>(r.total_bytes) / static_cast<double>(r.parameters);
}

/// How much smaller the model is than with `bits` a parameter: 0.72 for 72% smaller.
double saved(const ModelReport& r, int bits) { return 1 - bits_per_parameter(r) / bits; }

/// Contexts that a plan is printed for, up to the model's own.
std::vector<uint64_t> contexts(const ModelReport& r) {
  std::vector<uint64_t> lengths;
  for (const int length : {4096, 32768, r.context_length}) {
    if (length <= r.context_length && (lengths.empty() || lengths.back() != uint64_t(length))) {
      lengths.push_back(static_cast<uint64_t>(length));
    }
  }
  return lengths;
}

std::string names_of(const Formats& formats) {
  std::string text;
  for (const auto& [name, share] : formats) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Json to_json(const Formats& formats) {
  Json json = Json::object();
  for (const auto& [name, share] : formats) {
    json[name] = {{"tensors", share.tensors},
                  {"parameters", share.parameters},
                  {"bytes", share.bytes},
                  {"bits_per_parameter", share.bits_per_parameter()}};
  }
  return json;
}

Json layers_json(const ModelReport& r) {
  Json layers = Json::array();
  for (const LayerReport& layer : r.layers) {
    layers.push_back({{"mixer", layer.mixer},
                      {"types", names_of(layer.matrices)},
                      {"formats", to_json(layer.matrices)},
                      {"bytes", layer.bytes},
                      {"kv_bytes_per_token", layer.kv_bytes},
                      {"state_bytes_per_sequence", layer.state_bytes}});
  }
  return layers;
}

Json needs_json(const ModelReport& r) {
  Json sequences = Json::array();
  for (const uint64_t length : contexts(r)) {
    sequences.push_back(
        {{"context", length},
         {"kv_bytes", r.kv_bytes_per_token * length},
         {"state_bytes", r.state_bytes},
         {"total_bytes", r.total_bytes + r.kv_bytes_per_token * length + r.state_bytes}});
  }
  return {{"weights_bytes", r.total_bytes}, {"one_sequence", sequences}};
}

Json delta_json(const DeltaNet& net) {
  return {{"key_heads", net.key_heads},
          {"value_heads", net.value_heads},
          {"key_dim", net.key_dim},
          {"value_dim", net.value_dim},
          {"conv_kernel", net.conv_kernel}};
}

Json to_json(const ModelReport& r) {
  Json json = {{"path", r.path},
               {"format", r.container},
               {"name", r.name},
               {"architecture", r.architecture},
               {"parameters", r.parameters},
               {"context_length", r.context_length},
               {"vocab_size", r.vocab_size},
               {"hidden_size", r.hidden_size},
               {"ffn_size", r.ffn_hidden},
               {"heads", r.attention.heads},
               {"kv_heads", r.attention.kv_heads},
               {"head_dim", r.attention.head_dim},
               {"attention_layers", r.attention_layers},
               {"tied_head", r.tied_head},
               {"tokenizer", r.tokenizer},
               {"types", to_json(r.formats)},
               {"layers", layers_json(r)},
               {"bytes",
                {{"embedding", r.embedding_bytes},
                 {"layers", r.layers_bytes},
                 {"head", r.head_bytes},
                 {"total", r.total_bytes},
                 {"stored", r.stored_bytes}}},
               {"bits_per_parameter", bits_per_parameter(r)},
               {"kv_bytes_per_token", r.kv_bytes_per_token},
               {"state_bytes_per_sequence", r.state_bytes},
               {"needs", needs_json(r)}};
  for (const Yardstick& other : kYardsticks) json["saved"][other.name] = saved(r, other.bits);
  if (!r.deltas.empty()) json["delta_net"] = delta_json(r.deltas.front());
  return json;
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

std::string fixed(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
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

bool alike(const LayerReport& a, const LayerReport& b) {
  return a.bytes == b.bytes && a.mixer == b.mixer && names_of(a.matrices) == names_of(b.matrices);
}

/// "0-2, 4-6, 8"
std::string ranges_of(const std::vector<int>& numbers) {
  std::string text;
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += str_cat(text.empty() ? "" : ", ", numbers[first],
                    first == last ? "" : str_cat("-", numbers[last]));
    first = last + 1;
  }
  return text;
}

/// Layers that are alike share a line, wherever they lie.
void write_layers(std::ostream& out, const std::vector<LayerReport>& layers) {
  std::vector<std::vector<int>> groups;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto found = std::ranges::find_if(groups, [&](const std::vector<int>& group) {
      return alike(layers[static_cast<size_t>(group.front())], layers[i]);
    });
    if (found == groups.end()) {
      groups.push_back({static_cast<int>(i)});
    } else {
      found->push_back(static_cast<int>(i));
    }
  }
  for (const std::vector<int>& group : groups) {
    const LayerReport& layer = layers[static_cast<size_t>(group.front())];
    write_row(out, group.size() == 1 ? "  layer" : "  layers",
              str_cat(ranges_of(group), ": ", layer.mixer, ", ", size_text(layer.bytes),
                      group.size() == 1 ? "" : " each", ", ", names_of(layer.matrices)));
  }
}

void write_shape(std::ostream& out, const ModelReport& r) {
  write_row(out, "model", printable(r.name));
  write_row(out, "file", str_cat(printable(r.path), " (", r.container, ")"));
  write_row(out, "architecture", r.architecture);
  write_row(out, "parameters", str_cat(r.parameters));
  write_row(out, "context", str_cat(r.context_length, " tokens"));
  write_row(out, "vocabulary", str_cat(r.vocab_size));
  write_row(out, "tokenizer", printable(r.tokenizer));
  write_row(out, "hidden, ffn", str_cat(r.hidden_size, ", ", r.ffn_hidden));
  if (r.attention_layers > 0) {
    write_row(out, "attention",
              str_cat(r.attention.heads, " heads on ", r.attention.kv_heads, " kv heads of ",
                      r.attention.head_dim, r.attention.output_gate ? ", gated" : ""));
  }
  for (const DeltaNet& net : r.deltas) {
    write_row(out, "delta net",
              str_cat(net.value_heads, " value heads on ", net.key_heads, " key heads of ",
                      net.key_dim, ", convolution over ", net.conv_kernel));
  }
}

void write_sizes(std::ostream& out, const ModelReport& r) {
  write_row(out, "layers", str_cat(r.layers.size(), ", ", size_text(r.layers_bytes)));
  write_layers(out, r.layers);
  write_row(out, "embedding", str_cat(size_text(r.embedding_bytes), "  ", r.embedding));
  write_row(out, "head",
            r.tied_head ? std::string("the embedding's own (tied)")
                        : str_cat(size_text(r.head_bytes), "  ", r.head));
  for (const auto& [name, share] : r.formats) {
    const double part = static_cast<double>(share.bytes) / static_cast<double>(r.total_bytes);
    write_row(out, str_cat("type ", name),
              str_cat(share.tensors, share.tensors == 1 ? " tensor, " : " tensors, ",
                      size_text(share.bytes), " (", fixed(100 * part, 1), "%), ",
                      fixed(share.bits_per_parameter(), 2), " bits a parameter"));
  }
  write_row(out, "total",
            str_cat(size_text(r.total_bytes), ", ", fixed(bits_per_parameter(r), 2),
                    " bits a parameter"));
  std::string against;
  for (const Yardstick& other : kYardsticks) {
    const double change = 0.0 - 100 * saved(r, other.bits);  // no "-0.0"
    against += str_cat(against.empty() ? "" : ", ", other.name, change > 0 ? " +" : " ",
                       fixed(change, 1), "%");
  }
  write_row(out, "  against", against);
}

void write_needs(std::ostream& out, const ModelReport& r) {
  write_row(out, "KV per token", str_cat(size_text(r.kv_bytes_per_token), " (F16)"));
  if (r.state_bytes > 0) {
    write_row(out, "states", str_cat(size_text(r.state_bytes), " a sequence (F32)"));
  }
  for (const uint64_t length : contexts(r)) {
    const uint64_t kv = r.kv_bytes_per_token * length;
    write_row(out, "to run",
              str_cat(size_text(r.total_bytes + kv + r.state_bytes), ": weights, and ",
                      size_text(kv + r.state_bytes), " for a sequence of ", length, " tokens"));
  }
}

}  // namespace

Status run_inspect(const std::string& model_path, bool json, std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(const ModelReport report, inspect_model(model_path));
  if (json) {
    // Names come from the file and may be no UTF-8.
    out << to_json(report).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
    return absl::OkStatus();
  }
  write_shape(out, report);
  write_sizes(out, report);
  write_needs(out, report);
  return absl::OkStatus();
}

}  // namespace mokume
