#include "tokenizer/hf_tokenizer.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "base/text.h"
#include "tokenizer/hf_pipeline.h"
#include "tokenizer/json_field.h"
#include "tokenizer/nfc.h"

namespace mokume {
namespace {

using TokenType = TokenizerSpec::TokenType;

// A vocabulary may leave out ids, but not most of them.
constexpr size_t kMaxHoles = 65536;

constexpr JsonLimits kLimits = {.max_depth = 32,
                                .max_values = 6'000'000,
                                .max_keys = Tokenizer::kMaxTokens,
                                .room = "tokenizer"};

/// Texts to ids, as the file gives them; views into its Json.
using Ids = absl::flat_hash_map<std::string_view, TokenId>;

/// Fills spec.tokens and spec.types from "model.vocab" and "added_tokens", spec.merges from
/// "model.merges".
class VocabularyReader {
 public:
  VocabularyReader(const JsonField& root, TokenizerSpec& spec) : root_(root), spec_(spec) {}

  Status run() {
    MKM_RETURN_IF_ERROR(check_model());
    MKM_RETURN_IF_ERROR(read_vocab());
    MKM_RETURN_IF_ERROR(read_added_tokens());
    if (spec_.tokens.empty()) return root_["model"]["vocab"].error("has no token");
    if (holes() > kMaxHoles) {
      return root_["model"]["vocab"].error("leaves out ", holes(), " ids; at most ", kMaxHoles);
    }
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      if (spec_.types[id] == TokenType::kUnused) spec_.tokens[id] = unused_token_text(id);
    }
    MKM_RETURN_IF_ERROR(read_unknown());
    return read_merges();
  }

 private:
  Status check_model() const {
    const JsonField model = root_["model"];
    MKM_RETURN_IF_ERROR(model.object().status());
    if (model["type"].has_value()) {
      MKM_ASSIGN_OR_RETURN(const std::string type, model.type());
      if (type != "BPE") return model["type"].unsupported("is ", quote(type), "; supported is BPE");
    }
    for (std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!model[key].has_value()) continue;
      MKM_ASSIGN_OR_RETURN(const std::string text, model[key].string());
      if (!text.empty()) return model[key].unsupported("must be empty or null");
    }
    const JsonField dropout = model["dropout"];
    if (dropout.has_value() && *dropout.json() != 0) {
      return dropout.unsupported("must be null: encoding is not random");
    }
    MKM_ASSIGN_OR_RETURN(const bool byte_fallback, model["byte_fallback"].boolean(false));
    if (!byte_fallback) return absl::OkStatus();
    return model["byte_fallback"].unsupported(
        "must be false; only byte-level vocabularies are supported, not SentencePiece's");
  }

  Status read_vocab() {
    const JsonField vocab = root_["model"]["vocab"];
    MKM_ASSIGN_OR_RETURN(const Json* entries, vocab.object());
    spec_.tokens.reserve(entries->size());
    for (const auto& [text, value] : entries->items()) {
      // Its path is put together only where there is an error: there may be a million of them.
      if (!value.is_number_integer()) {
        return vocab.error("must give an integer for ", quote(text), ", not ", value.type_name());
      }
      const bool in_range =
          value.is_number_unsigned() && value.get<uint64_t>() < Tokenizer::kMaxTokens;
      if (!in_range) {
        return vocab.error("gives ", quote(text), " the id ", value.dump(), "; must be 0 to ",
                           Tokenizer::kMaxTokens - 1);
      }
      const auto id = value.get<size_t>();
      if (is_taken(id)) {
        return vocab.error("gives the id ", id, " to both ", quote(spec_.tokens[id]), " and ",
                           quote(text));
      }
      put(id, text, TokenType::kNormal);
    }
    return absl::OkStatus();
  }

  Status read_added_tokens() {
    const JsonField list = root_["added_tokens"];
    if (!list.has_value()) return absl::OkStatus();
    MKM_ASSIGN_OR_RETURN(const Json* array, list.array());
    for (size_t i = 0; i < array->size(); ++i) MKM_RETURN_IF_ERROR(read_added_token(list[i]));
    return absl::OkStatus();
  }

  Status read_added_token(const JsonField& token) {
    MKM_RETURN_IF_ERROR(token.object().status());
    MKM_RETURN_IF_ERROR(token["content"].string().status());
    const auto& text = token["content"].json()->get_ref<const std::string&>();
    MKM_ASSIGN_OR_RETURN(const int64_t number, token["id"].integer(0, Tokenizer::kMaxTokens - 1));
    const auto id = static_cast<size_t>(number);
    if (text.empty()) return token["content"].error("is empty; an added token has a text");
    if (is_taken(id) && spec_.tokens[id] != text) {
      return token.error("gives the id ", id, " to ", quote(text), "; it is that of ",
                         quote(spec_.tokens[id]));
    }
    if (const auto known = ids_.find(text); known != ids_.end() && known->second != number) {
      return token.error("gives ", quote(text), " the id ", id, "; it has the id ", known->second,
                         " already");
    }
    if (is_taken(id) && spec_.types[id] != TokenType::kNormal) {
      return token.error("adds ", quote(text), " a second time");
    }
    MKM_ASSIGN_OR_RETURN(const bool special, token["special"].boolean(false));
    put(id, text, special ? TokenType::kControl : TokenType::kUserDefined);
    return read_finding(token, text, static_cast<TokenId>(id));
  }

  Status read_finding(const JsonField& token, const std::string& text, TokenId id) {
    TokenizerSpec::Finding finding{id};
    MKM_ASSIGN_OR_RETURN(finding.takes_space_before, token["lstrip"].boolean(false));
    MKM_ASSIGN_OR_RETURN(finding.takes_space_after, token["rstrip"].boolean(false));
    MKM_ASSIGN_OR_RETURN(finding.in_normalized_text, token["normalized"].boolean(false));
    MKM_ASSIGN_OR_RETURN(const bool single_word, token["single_word"].boolean(false));
    if (single_word) return token["single_word"].unsupported("must be false");
    if (finding.in_normalized_text && spec_.normalizes) {
      MKM_ASSIGN_OR_RETURN(const std::string normalized, normalize_nfc(text));
      if (normalized != text) {
        return token["content"].unsupported(
            "is to be found in normalized text, but is not itself "
            "in normalization form C");
      }
    }
    if (finding.takes_space_before || finding.takes_space_after || finding.in_normalized_text) {
      spec_.findings.push_back(finding);
    }
    return absl::OkStatus();
  }

  Status read_unknown() {
    const JsonField unknown = root_["model"]["unk_token"];
    if (!unknown.has_value()) return absl::OkStatus();
    MKM_ASSIGN_OR_RETURN(const std::string text, unknown.string());
    const auto found = ids_.find(text);
    if (found == ids_.end()) return unknown.error("is ", quote(text), ", which is no token");
    spec_.unknown = found->second;
    return absl::OkStatus();
  }

  Status read_merges() {
    const JsonField merges = root_["model"]["merges"];
    MKM_ASSIGN_OR_RETURN(const Json* array, merges.array());
    spec_.merges.reserve(array->size());
    for (size_t i = 0; i < array->size(); ++i) {
      const Json& merge = (*array)[i];
      std::string_view left, right;
      if (merge.is_string()) {
        const std::string_view line = merge.get_ref<const std::string&>();
        const size_t space = std::min(line.find(' '), line.size());
        left = line.substr(0, space);
        right = line.substr(std::min(space + 1, line.size()));
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
                 merge[1].is_string()) {
        left = merge[0].get_ref<const std::string&>();
        right = merge[1].get_ref<const std::string&>();
      } else {
        return merges[i].error("must be \"left right\" or [\"left\", \"right\"]");
      }
      const std::string joined = str_cat(left, right);
      for (std::string_view text : {left, right, std::string_view(joined)}) {
        if (ids_.contains(text)) continue;
        return merges[i].error("has ", quote(text), ", which is no token of the vocabulary");
      }
      spec_.merges.push_back(str_cat(left, " ", right));
    }
    return absl::OkStatus();
  }

  bool is_taken(size_t id) const {
    return id < spec_.tokens.size() && spec_.types[id] != TokenType::kUnused;
  }

  void put(size_t id, const std::string& text, TokenType type) {
    if (id >= spec_.tokens.size()) {
      spec_.tokens.resize(id + 1);
      spec_.types.resize(id + 1, TokenType::kUnused);
    }
    spec_.tokens[id] = text;
    spec_.types[id] = type;
    ids_.insert_or_assign(text, static_cast<TokenId>(id));
  }

  size_t holes() const {
    return static_cast<size_t>(std::ranges::count(spec_.types, TokenType::kUnused));
  }

  const JsonField& root_;
  TokenizerSpec& spec_;
  Ids ids_;
};

}  // namespace

std::string unused_token_text(size_t id) { return str_cat("[PAD", id, "]"); }

Result<TokenizerSpec> parse_tokenizer_json(std::string_view text, std::string_view name) {
  if (text.size() > kMaxTokenizerJsonBytes) {
    return invalid_argument("tokenizer", "has ", text.size(), " bytes; at most ",
                            kMaxTokenizerJsonBytes, " are read (", name, ")");
  }
  MKM_ASSIGN_OR_RETURN(const Json json, parse_json(text, name, kLimits));
  const JsonField root(json, name);
  MKM_RETURN_IF_ERROR(root.object().status());
  TokenizerSpec spec;
  MKM_RETURN_IF_ERROR(read_normalizer(root["normalizer"], spec));
  MKM_RETURN_IF_ERROR(VocabularyReader(root, spec).run());
  MKM_ASSIGN_OR_RETURN(spec.splitting.prefers_whole_pieces,
                       root["model"]["ignore_merges"].boolean(false));
  MKM_RETURN_IF_ERROR(read_pre_tokenizer(root["pre_tokenizer"], spec));
  MKM_RETURN_IF_ERROR(read_post_processor(root["post_processor"], spec));
  MKM_RETURN_IF_ERROR(check_decoder(root["decoder"]));
  return spec;
}

}  // namespace mokume
