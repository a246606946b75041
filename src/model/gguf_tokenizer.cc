#include "model/gguf_tokenizer.h"

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"

namespace mokume {
namespace {

using TokenType = TokenizerSpec::TokenType;

constexpr size_t kMaxTokens = 1 << 24;

// Control tokens by which the families end an answer or a turn, where the file has no key for them.
constexpr std::array<std::string_view, 15> kEndTexts = {
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>",
    "<|end|>",    "<|return|>", "<|call|>",   "<end_of_turn>", "<end_of_utterance>",
    "</s>",       "<EOT>",      "_<EOT>",     "[EOT]",         "[EOS]",
};

template <typename... Args>
Status error(const GgufFile& file, const Args&... args) {
  return invalid_argument("model", args..., " (", file.path(), ")");
}

Result<TokenType> token_type(const GgufFile& file, int64_t code) {
  switch (code) {
    case 1:
      return TokenType::kNormal;
    case 2:
      return TokenType::kUnknown;
    case 3:
      return TokenType::kControl;
    case 4:
      return TokenType::kUserDefined;
    case 5:
      return TokenType::kUnused;
    case 6:
      return TokenType::kByte;
  }
  return error(file, "tokenizer.ggml.token_type has a ", code, "; must be 1 to 6");
}

Status load_types(const GgufFile& file, TokenizerSpec& spec) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  if (file.metadata(kKey) == nullptr) return absl::OkStatus();
  MKM_ASSIGN_OR_RETURN(const std::vector<int64_t> codes, file.get_ints(kKey));
  if (codes.size() != spec.tokens.size()) {
    return error(file, kKey, " has ", codes.size(), " entries for ", spec.tokens.size(), " tokens");
  }
  spec.types.reserve(codes.size());
  for (const int64_t code : codes) {
    MKM_ASSIGN_OR_RETURN(const TokenType type, token_type(file, code));
    spec.types.push_back(type);
  }
  return absl::OkStatus();
}

Result<std::optional<TokenId>> load_id(const GgufFile& file, std::string_view name,
                                       const TokenizerSpec& spec) {
  const std::string key = str_cat("tokenizer.ggml.", name, "_token_id");
  if (file.metadata(key) == nullptr) return std::optional<TokenId>();
  const auto last = static_cast<int64_t>(spec.tokens.size()) - 1;
  MKM_ASSIGN_OR_RETURN(const int64_t id, file.get_int(key, 0, last));
  return std::optional(static_cast<TokenId>(id));
}

Status load_ids(const GgufFile& file, TokenizerSpec& spec) {
  MKM_ASSIGN_OR_RETURN(spec.bos, load_id(file, "bos", spec));
  MKM_ASSIGN_OR_RETURN(spec.eos, load_id(file, "eos", spec));
  MKM_ASSIGN_OR_RETURN(spec.unknown, load_id(file, "unknown", spec));
  MKM_ASSIGN_OR_RETURN(spec.padding, load_id(file, "padding", spec));
  for (const std::string_view name : {"eos", "eot", "eom"}) {
    MKM_ASSIGN_OR_RETURN(const std::optional<TokenId> id, load_id(file, name, spec));
    if (id) spec.end_of_generation.push_back(*id);
  }
  return absl::OkStatus();
}

void add_ends_by_text(TokenizerSpec& spec) {
  for (size_t i = 0; i < spec.types.size(); ++i) {
    if (spec.types[i] != TokenType::kControl) continue;
    if (std::ranges::find(kEndTexts, spec.tokens[i]) == kEndTexts.end()) continue;
    spec.end_of_generation.push_back(static_cast<TokenId>(i));
  }
  std::ranges::sort(spec.end_of_generation);
  const auto last = std::unique(spec.end_of_generation.begin(), spec.end_of_generation.end());
  spec.end_of_generation.erase(last, spec.end_of_generation.end());
}

Result<bool> load_flag(const GgufFile& file, std::string_view key, bool fallback) {
  if (file.metadata(key) == nullptr) return fallback;
  return file.get_bool(key);
}

Result<std::string> load_text(const GgufFile& file, std::string_view key,
                              std::string_view fallback) {
  Result<std::string> text = file.get_string(key);
  if (absl::IsNotFound(text.status())) return std::string(fallback);
  return text;
}

Result<TokenizerSpec> load_bpe(const GgufFile& file) {
  TokenizerSpec spec;
  MKM_ASSIGN_OR_RETURN(spec.pre_tokenizer, load_text(file, "tokenizer.ggml.pre", "default"));
  MKM_ASSIGN_OR_RETURN(spec.tokens, file.get_strings("tokenizer.ggml.tokens"));
  if (spec.tokens.empty() || spec.tokens.size() > kMaxTokens) {
    return error(file, "tokenizer.ggml.tokens has ", spec.tokens.size(), " tokens; must be 1 to ",
                 kMaxTokens);
  }
  MKM_ASSIGN_OR_RETURN(spec.merges, file.get_strings("tokenizer.ggml.merges"));
  MKM_RETURN_IF_ERROR(load_types(file, spec));
  MKM_RETURN_IF_ERROR(load_ids(file, spec));
  add_ends_by_text(spec);
  // Llama 3's files leave the key out and mean yes; llama.cpp decides by the pre-tokenizer, too.
  const bool llama3 = spec.pre_tokenizer == "llama-bpe";
  MKM_ASSIGN_OR_RETURN(spec.add_bos,
                       load_flag(file, "tokenizer.ggml.add_bos_token", llama3 && spec.bos));
  MKM_ASSIGN_OR_RETURN(spec.add_eos, load_flag(file, "tokenizer.ggml.add_eos_token", false));
  return spec;
}

}  // namespace

Result<std::optional<TokenizerSpec>> load_gguf_tokenizer(const GgufFile& file) {
  const Result<std::string> stated = load_text(file, "tokenizer.ggml.model", "none");
  MKM_RETURN_IF_ERROR(stated.status());
  const std::string& model = *stated;
  if (model == "none") return std::optional<TokenizerSpec>();
  if (model != "gpt2") {
    return absl::UnimplementedError(str_cat("[model] tokenizer \"", absl::CHexEscape(model),
                                            "\" is not supported; supported are gpt2 and none (",
                                            file.path(), ")"));
  }
  MKM_ASSIGN_OR_RETURN(TokenizerSpec spec, load_bpe(file));
  return std::optional(std::move(spec));
}

Result<std::string> load_gguf_chat_template(const GgufFile& file) {
  return load_text(file, "tokenizer.chat_template", "");
}

}  // namespace mokume
