#include "quantize/facts.h"

#include <charconv>

namespace mokume {
namespace {

template <typename... Args>
Status cannot(const Args&... args) {
  return absl::UnimplementedError(str_cat("[quantize] ", args...));
}

/// Whether linears have biases: all of them, or none. Empty: some.
std::optional<bool> all_have_bias(std::initializer_list<const Linear*> linears) {
  size_t count = 0;
  for (const Linear* linear : linears) count += linear->bias ? 1 : 0;
  if (count != 0 && count != linears.size()) return std::nullopt;
  return count != 0;
}

class Collector {
 public:
  Collector(const ModelSpec& spec, const Family& family) : spec_(spec), family_(family) {}

  Result<ModelFacts> collect() {
    for (size_t i = 0; i < spec_.layers.size(); ++i) {
      MKM_RETURN_IF_ERROR(add_mixer(static_cast<int>(i)));
      MKM_RETURN_IF_ERROR(add_ffn(static_cast<int>(i)));
    }
    if (facts_.attention == nullptr) return cannot("a model without softmax attention");
    facts_.epsilon = spec_.final_norm.epsilon;
    MKM_RETURN_IF_ERROR(find_interval());
    return std::move(facts_);
  }

 private:
  Status add_mixer(int layer) {
    const auto& mixer = spec_.layers[static_cast<size_t>(layer)].mixer;
    const auto* attention = std::get_if<Attention>(&mixer);
    facts_.attends.push_back(attention != nullptr);
    if (attention == nullptr) {
      if (facts_.delta == nullptr) facts_.delta = &std::get<DeltaNet>(mixer);
      return absl::OkStatus();
    }
    const std::optional<bool> bias = attention_bias(*attention);
    const bool first = facts_.attention == nullptr;
    if (!bias || (!first && *bias != facts_.attention_bias)) {
      return cannot("layer ", layer, " has biases on some of q, k, v and o; a configuration of ",
                    family_.model_type, " can say all or none");
    }
    if (first) facts_.attention = attention;
    facts_.attention_bias = *bias;
    return absl::OkStatus();
  }

  std::optional<bool> attention_bias(const Attention& a) const {
    if (!family_.qkv_bias) return all_have_bias({&a.q, &a.k, &a.v, &a.o});
    const bool as_usual = all_have_bias({&a.q, &a.k, &a.v}) == true && !a.o.bias;
    return as_usual ? std::optional(true) : std::nullopt;
  }

  Status add_ffn(int layer) {
    const auto& ffn = std::get<SwiGlu>(spec_.layers[static_cast<size_t>(layer)].ffn);
    const std::optional<bool> bias = all_have_bias({&ffn.gate, &ffn.up, &ffn.down});
    if (!bias || (layer > 0 && *bias != facts_.ffn_bias)) {
      return cannot("layer ", layer,
                    " has biases on some of gate, up and down; a configuration of ",
                    family_.model_type, " can say all or none");
    }
    facts_.ffn_bias = *bias;
    facts_.ffn_hidden = ffn.hidden;
    return absl::OkStatus();
  }

  Status find_interval() {
    const auto& attends = facts_.attends;
    while (!attends[static_cast<size_t>(facts_.attention_interval) - 1]) {
      ++facts_.attention_interval;
    }
    for (size_t i = 0; i < attends.size(); ++i) {
      const bool expected = (i + 1) % static_cast<size_t>(facts_.attention_interval) == 0;
      if (attends[i] != expected) return cannot("attention at uneven intervals (layer ", i, ")");
    }
    return absl::OkStatus();
  }

  const ModelSpec& spec_;
  const Family& family_;
  ModelFacts facts_;
};

}  // namespace

Result<ModelFacts> facts_of(const ModelSpec& spec, const Family& family) {
  return Collector(spec, family).collect();
}

double shortest_double(float value) {
  char text[64];
  const auto written = std::to_chars(text, text + sizeof(text), value);
  double number = value;
  std::from_chars(text, written.ptr, number);
  return number;
}

}  // namespace mokume
