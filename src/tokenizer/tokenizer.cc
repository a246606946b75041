#include "tokenizer/tokenizer.h"

#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/byte_unicode.h"
#include "tokenizer/nfc.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/spec_checks.h"
#include "tokenizer/special_splitter.h"

namespace mokume {
namespace {

using TokenType = TokenizerSpec::TokenType;
constexpr TokenId kNoToken = -1;

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(TokenizerSpec spec, std::unique_ptr<const PreTokenizer> pre_tokenizer,
               MergeTable merges)
      : spec_(std::move(spec)),
        pre_tokenizer_(std::move(pre_tokenizer)),
        merges_(std::move(merges)),
        special_(spec_, /*in_normalized_text=*/false),
        late_special_(spec_, /*in_normalized_text=*/true) {
    index_texts();
    index_symbols();
    ends_generation_.assign(spec_.tokens.size(), false);
    if (spec_.eos) ends_generation_[static_cast<size_t>(*spec_.eos)] = true;
    for (TokenId id : spec_.end_of_generation) ends_generation_[static_cast<size_t>(id)] = true;
  }

  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const override {
    if (text.size() > kMaxTextBytes) {
      return invalid_argument("tokenizer", "a text of ", text.size(), " bytes; at most ",
                              kMaxTextBytes);
    }
    if (const auto at = find_invalid_utf8(text)) {
      return invalid_argument("tokenizer", "the text is not UTF-8 (byte ", *at, ")");
    }
    std::vector<TokenId> ids;
    WordMerger merger(merges_);
    if (options.add_special && spec_.add_bos) ids.push_back(*spec_.bos);
    for (const auto& fragment : special_.split(text, options.parse_special)) {
      if (fragment.token) {
        ids.push_back(*fragment.token);
      } else {
        MKM_RETURN_IF_ERROR(encode_rest(fragment.text, text, options, merger, ids));
      }
    }
    if (options.add_special && spec_.add_eos) ids.push_back(*spec_.eos);
    return ids;
  }

  std::string token_bytes(TokenId id, bool special) const override {
    if (id < 0 || id >= vocab_size()) return "";
    const std::string& text = spec_.tokens[static_cast<size_t>(id)];
    switch (type_of(id)) {
      case TokenType::kControl:
      case TokenType::kUnknown:
        return special ? text : "";
      case TokenType::kUserDefined:
        return text;
      case TokenType::kUnused:
        return "";
      case TokenType::kNormal:
      case TokenType::kByte:
        break;
    }
    auto bytes = alphabet_to_bytes(text);
    return bytes ? *std::move(bytes) : text;
  }

  std::string decode(std::span<const TokenId> ids, bool special) const override {
    std::string bytes;
    for (TokenId id : ids) bytes += token_bytes(id, special);
    return replace_invalid_utf8(bytes);
  }

  int vocab_size() const override { return static_cast<int>(spec_.tokens.size()); }
  bool is_end_of_generation(TokenId id) const override {
    return id >= 0 && id < vocab_size() && ends_generation_[static_cast<size_t>(id)];
  }
  const TokenizerSpec& spec() const override { return spec_; }

 private:
  TokenType type_of(TokenId id) const {
    return spec_.types.empty() ? TokenType::kNormal : spec_.types[static_cast<size_t>(id)];
  }

  /// Only what text may become by merging: a control token is no answer to plain text that reads
  /// like it.
  void index_texts() {
    for (TokenId id = 0; id < vocab_size(); ++id) {
      const TokenType type = type_of(id);
      if (type == TokenType::kNormal || type == TokenType::kByte ||
          type == TokenType::kUserDefined) {
        id_of_text_.try_emplace(spec_.tokens[static_cast<size_t>(id)], id);
      }
    }
  }

  void index_symbols() {
    token_of_symbol_.reserve(merges_.symbols().size());
    for (const std::string& bytes : merges_.symbols()) token_of_symbol_.push_back(find(bytes));
    fallback_.fill(kNoToken);
    if (spec_.unknown && type_of(*spec_.unknown) != TokenType::kControl) {
      fallback_.fill(*spec_.unknown);
    }
    for (size_t byte = 0; byte < 256; ++byte) {
      if (token_of_symbol_[byte] != kNoToken) fallback_[byte] = token_of_symbol_[byte];
    }
  }

  TokenId find(std::string_view bytes) const {
    const auto found = id_of_text_.find(bytes_to_alphabet(bytes));
    return found == id_of_text_.end() ? kNoToken : found->second;
  }

  /// Appends the ids of `rest`, which the first special tokens left of `text`.
  Status encode_rest(std::string_view rest, std::string_view text, EncodeOptions options,
                     WordMerger& merger, std::vector<TokenId>& ids) const {
    std::string normalized, prefixed;
    if (spec_.normalizes) {
      MKM_ASSIGN_OR_RETURN(normalized, normalize_nfc(rest));
      text = rest = normalized;
    }
    for (const auto& fragment : late_special_.split(rest, options.parse_special)) {
      if (fragment.token) {
        ids.push_back(*fragment.token);
      } else if (spec_.prefix_space && !fragment.text.starts_with(' ')) {
        prefixed = str_cat(" ", fragment.text);
        MKM_RETURN_IF_ERROR(encode_plain(prefixed, prefixed, merger, ids));
      } else {
        MKM_RETURN_IF_ERROR(encode_plain(fragment.text, text, merger, ids));
      }
    }
    return absl::OkStatus();
  }

  /// Appends the ids of `plain`, a part of `text`.
  Status encode_plain(std::string_view plain, std::string_view text, WordMerger& merger,
                      std::vector<TokenId>& ids) const {
    MKM_ASSIGN_OR_RETURN(const auto words, pre_tokenizer_->split(plain));
    for (std::string_view word : words) {
      const TokenId whole = pre_tokenizer_->prefers_whole_pieces() ? find(word) : kNoToken;
      if (whole != kNoToken) {
        ids.push_back(whole);
        continue;
      }
      const auto parts = merger.merge(word);
      for (size_t i = 0; i < parts.size(); ++i) {
        const TokenId id = token_of_symbol_[static_cast<size_t>(parts[i].symbol)];
        if (id != kNoToken) {
          ids.push_back(id);
          continue;
        }
        const size_t end = i + 1 < parts.size() ? parts[i + 1].begin : word.size();
        const auto bytes = word.substr(parts[i].begin, end - parts[i].begin);
        MKM_RETURN_IF_ERROR(encode_bytes(bytes, text, ids));
      }
    }
    return absl::OkStatus();
  }

  /// One token a byte, for merges whose result has no token.
  Status encode_bytes(std::string_view bytes, std::string_view text,
                      std::vector<TokenId>& ids) const {
    for (const char& byte : bytes) {
      const TokenId id = fallback_[static_cast<unsigned char>(byte)];
      if (id == kNoToken) {
        return invalid_argument("tokenizer", "the vocabulary has no token for byte ",
                                absl::StrFormat("0x%02X", static_cast<unsigned char>(byte)),
                                " (byte ", &byte - text.data(), " of the text)");
      }
      ids.push_back(id);
    }
    return absl::OkStatus();
  }

  TokenizerSpec spec_;
  std::unique_ptr<const PreTokenizer> pre_tokenizer_;
  MergeTable merges_;
  SpecialSplitter special_, late_special_;
  absl::flat_hash_map<std::string_view, TokenId> id_of_text_;  ///< views into spec_.tokens
  std::vector<TokenId> token_of_symbol_;
  std::array<TokenId, 256> fallback_;  ///< what a single byte becomes
  std::vector<bool> ends_generation_;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(TokenizerSpec spec) {
  MKM_RETURN_IF_ERROR(check_spec(spec));
  MKM_ASSIGN_OR_RETURN(auto pre_tokenizer, spec.pre_tokenizer.empty()
                                               ? PreTokenizer::create(spec.splitting)
                                               : PreTokenizer::create(spec.pre_tokenizer));
  MKM_ASSIGN_OR_RETURN(auto merges, MergeTable::create(spec.merges));
  return std::make_shared<const BpeTokenizer>(std::move(spec), std::move(pre_tokenizer),
                                              std::move(merges));
}

std::string Tokenizer::special_text(std::optional<TokenId> id) const {
  if (!id || *id < 0 || *id >= vocab_size()) return "";
  return spec().tokens[static_cast<size_t>(*id)];
}

}  // namespace mokume
