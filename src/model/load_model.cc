#include "model/load_model.h"

#include <filesystem>

#include "model/gguf_tokenizer.h"
#include "model/hf_spec.h"
#include "model/hf_tokenizer_files.h"
#include "model/load_spec.h"
#include "weights/gguf.h"
#include "weights/safetensors.h"

namespace mokume {
namespace {

Result<LoadedModel> load_gguf(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const std::shared_ptr<GgufFile> file, GgufFile::open(path));
  MKM_ASSIGN_OR_RETURN(ModelSpec spec, load_spec(*file));
  MKM_ASSIGN_OR_RETURN(std::optional<TokenizerSpec> tokenizer, load_gguf_tokenizer(*file));
  LoadedModel loaded;
  if (tokenizer) {
    if (tokenizer->tokens.size() != static_cast<size_t>(spec.vocab_size)) {
      return invalid_argument("model", "the tokenizer has ", tokenizer->tokens.size(),
                              " tokens, token_embd.weight ", spec.vocab_size, " rows (", path, ")");
    }
    MKM_ASSIGN_OR_RETURN(loaded.tokenizer, Tokenizer::create(*std::move(tokenizer)));
    MKM_ASSIGN_OR_RETURN(loaded.chat_template, load_gguf_chat_template(*file));
  }
  loaded.model = std::make_shared<const Model>(Model{std::move(spec), file});
  return loaded;
}

Result<std::optional<JsonConfig>> open_if_there(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::optional<JsonConfig>();
  MKM_ASSIGN_OR_RETURN(JsonConfig config, JsonConfig::open(path));
  return std::optional(std::move(config));
}

Result<LoadedModel> load_directory(const std::filesystem::path& directory) {
  MKM_ASSIGN_OR_RETURN(const JsonConfig config,
                       JsonConfig::open((directory / "config.json").string()));
  MKM_ASSIGN_OR_RETURN(const std::shared_ptr<WeightSource> weights,
                       open_safetensors_directory(directory.string()));
  MKM_ASSIGN_OR_RETURN(const auto modelopt,
                       open_if_there((directory / "hf_quant_config.json").string()));
  MKM_ASSIGN_OR_RETURN(ModelSpec spec,
                       load_hf_spec(config, *weights, modelopt ? &*modelopt : nullptr));
  const bool ends_in_slash = directory.filename().empty();
  spec.name = (ends_in_slash ? directory.parent_path() : directory).filename().string();
  LoadedModel loaded;
  MKM_ASSIGN_OR_RETURN(std::optional<HfTokenizer> tokenizer,
                       load_hf_tokenizer(directory, spec.vocab_size));
  if (tokenizer) {
    auto made = Tokenizer::create(std::move(tokenizer->spec));
    if (!made.ok()) {
      return Status(made.status().code(), str_cat(made.status().message(), " (",
                                                  (directory / "tokenizer.json").string(), ")"));
    }
    loaded.tokenizer = *std::move(made);
    loaded.chat_template = std::move(tokenizer->chat_template);
  }
  loaded.model = std::make_shared<const Model>(Model{std::move(spec), weights});
  return loaded;
}

}  // namespace

Result<LoadedModel> load_model(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return load_directory(path);
  return load_gguf(path);
}

}  // namespace mokume
