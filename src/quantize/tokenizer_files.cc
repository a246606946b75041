#include "quantize/tokenizer_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/log.h"
#include "quantize/config_json.h"
#include "quantize/gguf_keys.h"
#include "tokenizer/hf_tokenizer_writer.h"
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

/// True when the tokenizer was among them.
Result<bool> copy_files(const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  for (const std::string_view name : kFiles) {
    if (!fs::is_regular_file(from / name, ignored)) continue;
    MKM_RETURN_IF_ERROR(copy_through(from / name, to / name));
  }
  return fs::exists(to / kFiles[0], ignored);
}

Result<bool> write_tokenizer(const LoadedModel& model, const fs::path& directory) {
  const auto files = write_hf_tokenizer(model.tokenizer->spec(), model.chat_template);
  if (!files.ok()) {
    log().warn("the tokenizer is left out: {}", std::string(files.status().message()));
    return false;
  }
  const auto write = [&](std::string_view name, const std::string& text) {
    return write_whole_file((directory / name).string(), text);
  };
  MKM_RETURN_IF_ERROR(write(kFiles[0], files->tokenizer_json));
  MKM_RETURN_IF_ERROR(write(kFiles[1], files->tokenizer_config_json));
  MKM_RETURN_IF_ERROR(write(kGeneration, files->generation_config_json));
  return true;
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

Result<bool> write_tokenizer_files(const LoadedModel& model, const std::string& input,
                                   const std::string& directory, const TokenIds& ids) {
  std::error_code ignored;
  if (fs::is_directory(input, ignored)) return copy_files(input, directory);
  if (model.tokenizer) return write_tokenizer(model, directory);
  if (ids.eos.empty()) return false;
  const std::string path = (fs::path(directory) / kGeneration).string();
  MKM_RETURN_IF_ERROR(write_whole_file(path, generation_config_json(ids)));
  return false;
}

Result<std::vector<GgufKeyValue>> gguf_tokenizer(const LoadedModel& model) {
  const auto* gguf = dynamic_cast<const GgufFile*>(model.model->weights.get());
  if (gguf != nullptr && gguf->metadata("tokenizer.ggml.model") != nullptr) {
    return copied_tokenizer_keys(*gguf);
  }
  if (model.tokenizer) {
    auto keys =
        tokenizer_keys(model.tokenizer->spec(), model.chat_template, model.model->spec.vocab_size);
    if (!absl::IsUnimplemented(keys.status())) return keys;
    log().warn("{}", std::string(keys.status().message()));
  }
  return std::vector<GgufKeyValue>{{"tokenizer.ggml.model", std::string("none")}};
}

}  // namespace mokume
