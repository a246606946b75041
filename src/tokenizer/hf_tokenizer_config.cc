#include "tokenizer/hf_tokenizer_config.h"

#include <algorithm>

#include "base/text.h"
#include "tokenizer/json_field.h"

namespace mokume {
namespace {

// added_tokens_decoder repeats each added token.
constexpr JsonLimits kLimits = {
    .max_depth = 32, .max_values = 4'000'000, .max_keys = 1'000'000, .room = "tokenizer"};
constexpr size_t kMaxBytes = size_t{16} << 20;
constexpr size_t kMaxEosIds = 1024;

Result<Json> parse_object(std::string_view text, std::string_view name) {
  if (text.size() > kMaxBytes) {
    return invalid_argument("tokenizer", "has ", text.size(), " bytes; at most ", kMaxBytes,
                            " are read (", name, ")");
  }
  MKM_ASSIGN_OR_RETURN(Json json, parse_json(text, name, kLimits));
  MKM_RETURN_IF_ERROR(JsonField(json, name).object().status());
  return json;
}

/// A token is its text, or an object with that as "content".
Result<std::optional<std::string>> token_text(const JsonField& field) {
  if (!field.has_value()) return std::optional<std::string>();
  MKM_ASSIGN_OR_RETURN(std::string text,
                       field.json()->is_object() ? field["content"].string() : field.string());
  return std::optional(std::move(text));
}

Result<std::optional<bool>> flag(const JsonField& field) {
  if (!field.has_value()) return std::optional<bool>();
  MKM_ASSIGN_OR_RETURN(const bool value, field.boolean(false));
  return std::optional(value);
}

/// A string, or a list of {"name", "template"}.
Result<std::string> chat_template(const JsonField& field) {
  if (!field.has_value()) return std::string();
  if (field.json()->is_string()) return field.string();
  MKM_ASSIGN_OR_RETURN(const Json* list, field.array());
  for (size_t i = 0; i < list->size(); ++i) {
    MKM_ASSIGN_OR_RETURN(const std::string name, field[i]["name"].string());
    if (name == "default") return field[i]["template"].string();
  }
  return std::string();
}

Result<std::vector<TokenId>> ids_of(const JsonField& field) {
  std::vector<TokenId> ids;
  if (!field.has_value()) return ids;
  constexpr int64_t kLast = Tokenizer::kMaxTokens - 1;
  if (!field.json()->is_array()) {
    MKM_ASSIGN_OR_RETURN(const int64_t id, field.integer(0, kLast));
    ids.push_back(static_cast<TokenId>(id));
    return ids;
  }
  const size_t count = field.json()->size();
  if (count > kMaxEosIds) return field.error("has ", count, " ids; at most ", kMaxEosIds);
  for (size_t i = 0; i < count; ++i) {
    MKM_ASSIGN_OR_RETURN(const int64_t id, field[i].integer(0, kLast));
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

std::optional<TokenId> find_token(const TokenizerSpec& spec, const std::string& text) {
  using Type = TokenizerSpec::TokenType;
  std::optional<TokenId> plain;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.tokens[id] != text) continue;
    const Type type = spec.types.empty() ? Type::kNormal : spec.types[id];
    if (type == Type::kUnused) continue;
    if (type != Type::kNormal) return static_cast<TokenId>(id);
    if (!plain) plain = static_cast<TokenId>(id);
  }
  return plain;
}

}  // namespace

Result<HfTokenizerConfig> parse_tokenizer_config(std::string_view text, std::string_view name) {
  MKM_ASSIGN_OR_RETURN(const Json json, parse_object(text, name));
  const JsonField root(json, name);
  HfTokenizerConfig config;
  MKM_ASSIGN_OR_RETURN(config.bos, token_text(root["bos_token"]));
  MKM_ASSIGN_OR_RETURN(config.eos, token_text(root["eos_token"]));
  MKM_ASSIGN_OR_RETURN(config.padding, token_text(root["pad_token"]));
  MKM_ASSIGN_OR_RETURN(config.unknown, token_text(root["unk_token"]));
  MKM_ASSIGN_OR_RETURN(config.add_bos, flag(root["add_bos_token"]));
  MKM_ASSIGN_OR_RETURN(config.add_eos, flag(root["add_eos_token"]));
  MKM_ASSIGN_OR_RETURN(config.chat_template, chat_template(root["chat_template"]));
  return config;
}

Result<std::vector<TokenId>> parse_eos_ids(std::string_view text, std::string_view name) {
  MKM_ASSIGN_OR_RETURN(const Json json, parse_object(text, name));
  const JsonField root(json, name);
  const JsonField outer = root["eos_token_id"];
  return ids_of(outer.has_value() ? outer : root["text_config"]["eos_token_id"]);
}

Status apply_tokenizer_config(const HfTokenizerConfig& config, std::string_view name,
                              TokenizerSpec& spec) {
  struct Role {
    std::string_view key;
    const std::optional<std::string>& text;
    std::optional<TokenId>& id;
    bool required;
  };
  const Role roles[] = {{"bos_token", config.bos, spec.bos, true},
                        {"eos_token", config.eos, spec.eos, true},
                        {"pad_token", config.padding, spec.padding, false},
                        {"unk_token", config.unknown, spec.unknown, false}};
  for (const Role& role : roles) {
    if (!role.text || role.id) continue;
    role.id = find_token(spec, *role.text);
    if (role.id || !role.required) continue;
    return invalid_argument("tokenizer", role.key, " is ", quote(*role.text),
                            ", which is no token of tokenizer.json (", name, ")");
  }
  spec.add_bos = config.add_bos.value_or(spec.add_bos);
  spec.add_eos = config.add_eos.value_or(spec.add_eos);
  if ((spec.add_bos && !spec.bos) || (spec.add_eos && !spec.eos)) {
    const std::string_view role = spec.add_bos && !spec.bos ? "bos" : "eos";
    return invalid_argument("tokenizer", "add_", role, "_token is true, but there is no ", role,
                            "_token (", name, ")");
  }
  return absl::OkStatus();
}

}  // namespace mokume
