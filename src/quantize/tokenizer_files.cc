#include "quantize/tokenizer_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "quantize/config_json.h"
#include "quantize/gguf_keys.h"
#include "weights/json_config.h"
#include "weights/output_file.h"

namespace mokume {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = 128u << 20;
constexpr int64_t kMaxId = 1 << 24;
constexpr int kMaxEnds = 64;
constexpr std::string_view kGeneration = "generation_config.json";
constexpr std::array<std::string_view, 10> kFiles = {"tokenizer.json",
                                                     "tokenizer_config.json",
                                                     "special_tokens_map.json",
                                                     "added_tokens.json",
                                                     "vocab.json",
                                                     "merges.txt",
                                                     "tokenizer.model",
                                                     "chat_template.jinja",
                                                     "chat_template.json",
                                                     kGeneration};

TokenIds ids_of(const TokenizerSpec& spec) {
  TokenIds ids;
  ids.bos = spec.bos;
  ids.padding = spec.padding;
  ids.unknown = spec.unknown;
  if (spec.eos) ids.eos.push_back(*spec.eos);
  for (const TokenId id : spec.end_of_generation) {
    if (std::ranges::find(ids.eos, id) == ids.eos.end()) ids.eos.push_back(id);
  }
  return ids;
}

/// "eos_token_id", or "text_config.eos_token_id" where a model for images and text nests it.
Result<std::optional<int64_t>> config_id(const JsonConfig& config, const std::string& name) {
  for (const std::string& key : {name, "text_config." + name}) {
    if (!config.has(key)) continue;
    MKM_ASSIGN_OR_RETURN(const int64_t id, config.get_int(key, 0, kMaxId));
    return std::optional(id);
  }
  return std::optional<int64_t>();
}

Result<TokenIds> ids_of(const JsonConfig& config) {
  TokenIds ids;
  MKM_ASSIGN_OR_RETURN(ids.bos, config_id(config, "bos_token_id"));
  MKM_ASSIGN_OR_RETURN(ids.padding, config_id(config, "pad_token_id"));
  if (!config.has("eos_token_id.0") && !config.has("text_config.eos_token_id.0")) {
    MKM_ASSIGN_OR_RETURN(const auto eos, config_id(config, "eos_token_id"));
    if (eos) ids.eos.push_back(*eos);
    return ids;
  }
  for (int i = 0; i < kMaxEnds; ++i) {
    MKM_ASSIGN_OR_RETURN(const auto eos, config_id(config, str_cat("eos_token_id.", i)));
    if (!eos) break;
    ids.eos.push_back(*eos);
  }
  return ids;
}

Status copy_through(const fs::path& from, const fs::path& to) {
  std::error_code error;
  const uint64_t size = fs::file_size(from, error);
  if (error || size > kMaxFileBytes) {
    return invalid_argument("quantize", "cannot copy ", from.string(), ": ",
                            error ? error.message() : "it is larger than 128 MiB");
  }
  std::ifstream file(from, std::ios::binary);
  std::ostringstream text;
  if (size > 0) text << file.rdbuf();
  if (!file || !text) return invalid_argument("quantize", "cannot read ", from.string());
  return write_whole_file(to.string(), text.str());
}

}  // namespace

Result<TokenIds> token_ids(const LoadedModel& model, const std::string& input) {
  if (model.tokenizer) return ids_of(model.tokenizer->spec());
  std::error_code ignored;
  if (!fs::is_directory(input, ignored)) return TokenIds();
  MKM_ASSIGN_OR_RETURN(const JsonConfig config,
                       JsonConfig::open((fs::path(input) / "config.json").string()));
  return ids_of(config);
}

Result<bool> write_tokenizer_files(const LoadedModel& /*model*/, const std::string& input,
                                   const std::string& directory, const TokenIds& ids) {
  const fs::path from(input), to(directory);
  std::error_code ignored;
  bool copied = false;
  if (fs::is_directory(input, ignored)) {
    for (const std::string_view name : kFiles) {
      if (!fs::is_regular_file(from / name, ignored)) continue;
      MKM_RETURN_IF_ERROR(copy_through(from / name, to / name));
      copied = copied || name == kFiles[0];
    }
  }
  if (!fs::exists(to / kGeneration, ignored) && !ids.eos.empty()) {
    MKM_RETURN_IF_ERROR(write_whole_file((to / kGeneration).string(), generation_config_json(ids)));
  }
  return copied;
}

std::vector<GgufKeyValue> gguf_tokenizer(const LoadedModel& model) {
  const auto* gguf = dynamic_cast<const GgufFile*>(model.model->weights.get());
  if (gguf != nullptr && gguf->metadata("tokenizer.ggml.model") != nullptr) {
    return copied_tokenizer_keys(*gguf);
  }
  return tokenizer_keys(model.tokenizer.get(), model.chat_template);
}

}  // namespace mokume
