#include "tokenizer/hf_tokenizer_writer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/json.h"
#include "tokenizer/special_splitter.h"

namespace mokume {
namespace {

using TokenType = TokenizerSpec::TokenType;

TokenType type_of(const TokenizerSpec& spec, size_t id) {
  return spec.types.empty() ? TokenType::kNormal : spec.types[id];
}

Json text_or_null(const TokenizerSpec& spec, std::optional<TokenId> id) {
  return id ? Json(spec.tokens[static_cast<size_t>(*id)]) : Json(nullptr);
}

/// Texts to ids, without what is left out.
using Vocabulary = absl::flat_hash_map<std::string_view, size_t>;

Result<Vocabulary> vocabulary_of(const TokenizerSpec& spec) {
  Vocabulary vocabulary;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const std::string& text = spec.tokens[id];
    if (type_of(spec, id) == TokenType::kUnused || text.empty()) continue;
    if (find_invalid_utf8(text)) {
      return invalid_argument("tokenizer", "token ", id, ", ", quote(text),
                              ", is not UTF-8; tokenizer.json cannot hold it");
    }
    vocabulary.try_emplace(text, id);
  }
  return vocabulary;
}

/// `json` must be an object that has no member `key` yet. Unlike operator[] this does not search.
void append(Json& json, std::string_view key, Json value) {
  json.get_ref<Json::object_t&>().emplace_back(std::string(key), std::move(value));
}

Json vocab_json(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  Json json = Json::object();
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const auto found = vocabulary.find(std::string_view(spec.tokens[id]));
    if (found != vocabulary.end() && found->second == id) append(json, spec.tokens[id], id);
  }
  return json;
}

Json added_tokens_json(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  absl::flat_hash_map<TokenId, TokenizerSpec::Finding> findings;
  for (const auto& finding : spec.findings) findings.try_emplace(finding.id, finding);
  Json json = Json::array();
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const auto token = vocabulary.find(std::string_view(spec.tokens[id]));
    const bool is_kept = token != vocabulary.end() && token->second == id;
    if (!is_kept || !SpecialSplitter::is_special(type_of(spec, id))) continue;
    const auto found = findings.find(static_cast<TokenId>(id));
    const TokenizerSpec::Finding finding =
        found == findings.end() ? TokenizerSpec::Finding{static_cast<TokenId>(id)} : found->second;
    json.push_back({{"id", id},
                    {"content", spec.tokens[id]},
                    {"single_word", false},
                    {"lstrip", finding.takes_space_before},
                    {"rstrip", finding.takes_space_after},
                    {"normalized", finding.in_normalized_text},
                    {"special", type_of(spec, id) != TokenType::kUserDefined}});
  }
  return json;
}

/// Of equal merges our tokenizer counts the first, the tokenizers library the last.
Result<Json> merges_json(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  Json json = Json::array();
  absl::flat_hash_set<std::string_view> written;
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const std::string_view merge = spec.merges[rank];
    const size_t space = std::min(merge.find(' ', 1), merge.size());
    const std::string_view left = merge.substr(0, space);
    const std::string_view right = merge.substr(std::min(space + 1, merge.size()));
    const std::string joined = str_cat(left, right);
    for (std::string_view text : {left, right, std::string_view(joined)}) {
      if (vocabulary.contains(text)) continue;
      return invalid_argument("tokenizer", "merge ", rank, ", ", quote(merge), ", has ",
                              quote(text), ", which is no token; tokenizer.json cannot hold it");
    }
    if (written.insert(merge).second) json.push_back(merge);
  }
  return json;
}

Json byte_level(bool prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", prefix_space},
          {"trim_offsets", false},
          {"use_regex", use_regex}};
}

Json split_json(const SplitRule& rule) {
  if (rule == SplitRule{R"(\p{N})"}) return {{"type", "Digits"}, {"individual_digits", true}};
  return {{"type", "Split"},
          {"pattern", {{"Regex", rule.pattern}}},
          {"behavior", rule.keeps_gaps ? "Isolated" : "Removed"},
          {"invert", !rule.keeps_gaps}};
}

/// ByteLevel can split by GPT-2's pattern itself, and is a step of its own or the last of several.
Result<Json> pre_tokenizer_json(const TokenizerSpec& spec, Splitting splitting) {
  MKM_ASSIGN_OR_RETURN(const Splitting gpt2, splitting_of("gpt-2"));
  auto& rules = splitting.rules;
  const bool use_regex = !rules.empty() && rules.back() == gpt2.rules[0];
  if (use_regex) rules.pop_back();
  Json last = byte_level(spec.prefix_space, use_regex);
  if (rules.empty()) return last;
  if (spec.prefix_space) {
    return invalid_argument(
        "tokenizer", "a space before a text that patterns cut; tokenizer.json cannot say it");
  }
  Json steps = Json::array();
  for (const SplitRule& rule : rules) steps.push_back(split_json(rule));
  steps.push_back(std::move(last));
  return Json{{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

Json post_processor_json(const TokenizerSpec& spec) {
  if (!spec.add_bos && !spec.add_eos) return byte_level(false, false);
  Json special_tokens = Json::object();
  const auto around = [&](Json& items, int type_id, const char* sequence) {
    const auto special = [&](std::optional<TokenId> id) {
      const Json text = text_or_null(spec, id);
      items.push_back({{"SpecialToken", {{"id", text}, {"type_id", type_id}}}});
      special_tokens[text.get<std::string>()] = {
          {"id", text}, {"ids", Json::array({*id})}, {"tokens", Json::array({text})}};
    };
    if (spec.add_bos) special(spec.bos);
    items.push_back({{"Sequence", {{"id", sequence}, {"type_id", type_id}}}});
    if (spec.add_eos) special(spec.eos);
  };
  Json single = Json::array(), pair = Json::array();
  around(single, 0, "A");
  around(pair, 0, "A");
  around(pair, 1, "B");
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(special_tokens)}};
}

Result<Json> tokenizer_json(const TokenizerSpec& spec) {
  Splitting splitting = spec.splitting;
  if (!spec.pre_tokenizer.empty()) {
    MKM_ASSIGN_OR_RETURN(splitting, splitting_of(spec.pre_tokenizer));
  }
  MKM_ASSIGN_OR_RETURN(const Vocabulary vocabulary, vocabulary_of(spec));
  MKM_ASSIGN_OR_RETURN(Json merges, merges_json(spec, vocabulary));
  MKM_ASSIGN_OR_RETURN(Json pre_tokenizer, pre_tokenizer_json(spec, splitting));
  // A control token never stands for a byte without a token: see Tokenizer::create().
  const bool has_unknown =
      spec.unknown && type_of(spec, static_cast<size_t>(*spec.unknown)) != TokenType::kControl;
  Json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", has_unknown ? text_or_null(spec, spec.unknown) : Json(nullptr)},
                {"continuing_subword_prefix", nullptr},
                {"end_of_word_suffix", nullptr},
                {"fuse_unk", false},
                {"byte_fallback", false},
                {"ignore_merges", splitting.prefers_whole_pieces}};
  append(model, "vocab", vocab_json(spec, vocabulary));
  append(model, "merges", std::move(merges));
  Json json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  append(json, "added_tokens", added_tokens_json(spec, vocabulary));
  append(json, "normalizer", spec.normalizes ? Json{{"type", "NFC"}} : Json(nullptr));
  append(json, "pre_tokenizer", std::move(pre_tokenizer));
  append(json, "post_processor", post_processor_json(spec));
  append(json, "decoder", byte_level(false, false));
  append(json, "model", std::move(model));
  return json;
}

Json tokenizer_config_json(const TokenizerSpec& spec, std::string_view chat_template) {
  Json json = {{"tokenizer_class", "PreTrainedTokenizerFast"},
               {"bos_token", text_or_null(spec, spec.bos)},
               {"eos_token", text_or_null(spec, spec.eos)},
               {"pad_token", text_or_null(spec, spec.padding)},
               {"unk_token", text_or_null(spec, spec.unknown)},
               {"add_bos_token", spec.add_bos},
               {"add_eos_token", spec.add_eos},
               {"clean_up_tokenization_spaces", false}};
  if (!chat_template.empty()) append(json, "chat_template", chat_template);
  return json;
}

Json generation_config_json(const TokenizerSpec& spec) {
  std::vector<TokenId> ends = spec.end_of_generation;
  if (spec.eos) ends.push_back(*spec.eos);
  std::ranges::sort(ends);
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  Json json = Json::object();
  if (spec.bos) append(json, "bos_token_id", *spec.bos);
  if (ends.size() == 1) append(json, "eos_token_id", ends[0]);
  if (ends.size() > 1) append(json, "eos_token_id", ends);
  if (spec.padding) append(json, "pad_token_id", *spec.padding);
  return json;
}

std::string pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<HfTokenizerFiles> write_hf_tokenizer(const TokenizerSpec& spec,
                                            std::string_view chat_template) {
  MKM_ASSIGN_OR_RETURN(const Json json, tokenizer_json(spec));
  return HfTokenizerFiles{pretty(json), pretty(tokenizer_config_json(spec, chat_template)),
                          pretty(generation_config_json(spec))};
}

}  // namespace mokume
