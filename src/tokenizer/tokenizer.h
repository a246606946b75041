// Text <-> token ids: byte-level BPE as GPT-2 and its descendants use it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/pre_tokenizer.h"

namespace mokume {

using TokenId = int32_t;

/// Everything a tokenizer is made of, as a checkpoint states it.
struct TokenizerSpec {
  enum class TokenType : uint8_t { kNormal, kControl, kUserDefined, kUnknown, kByte, kUnused };
  /// How a token outside of byte-pair merging is found, where it is not simply wherever its text
  /// is.
  struct Finding {
    TokenId id;
    bool takes_space_before = false, takes_space_after = false;
    bool in_normalized_text = false;  ///< and only in what the other tokens leave
  };
  /// "smollm", "gpt-2", "llama-bpe", "qwen2", "qwen35" ("default" is gpt-2's); empty: `splitting`
  /// says it.
  std::string pre_tokenizer;
  Splitting splitting;        ///< read only where `pre_tokenizer` is empty
  bool normalizes = false;    ///< text is brought to normalization form C before it is cut
  bool prefix_space = false;  ///< text that does not begin with a space gets one
  std::vector<std::string>
      tokens;  ///< in GPT-2's byte-to-unicode alphabet; control tokens as they read
  std::vector<TokenType> types;     ///< one a token, or empty: all normal
  std::vector<std::string> merges;  ///< "left right", best first
  std::vector<Finding> findings;    ///< at most one a token
  std::optional<TokenId> bos, eos, unknown, padding;
  std::vector<TokenId> end_of_generation;  ///< further ids that end an answer (eot, eom)
  bool add_bos = false;
  bool add_eos = false;
};

/// Immutable; may be used from several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// InvalidArgument for an id outside the vocabulary or a bound exceeded; NotFound, listing the
  /// known names, for an unknown pre-tokenizer; what PreTokenizer::create says of a pattern. Of
  /// tokens with the same text the lowest id encodes, of equal merges the first counts. A merge may
  /// lead to a text that is no token: it is then encoded byte by byte.
  static Result<std::shared_ptr<const Tokenizer>> create(TokenizerSpec spec);
  static constexpr size_t kMaxTokens = size_t{1} << 22;
  static constexpr size_t kMaxTextBytes = size_t{1} << 28;  ///< what one encode() takes

  struct EncodeOptions {
    bool add_special = false;    ///< add BOS/EOS where the model wants them
    bool parse_special = false;  ///< "<|im_start|>" in the text becomes that control token
  };
  /// InvalidArgument when `text` is not UTF-8, or has a byte for which the vocabulary has neither a
  /// token nor an unknown token that is not a control token (each with the byte's offset). Special
  /// tokens are found from left to right, the longest first; user-defined ones also without
  /// `parse_special`.
  virtual Result<std::vector<TokenId>> encode(std::string_view text,
                                              EncodeOptions options) const = 0;

  /// The raw bytes of a token (a piece of a UTF-8 sequence, perhaps); empty for an id out of range,
  /// an unused token and, unless `special`, control and unknown tokens.
  virtual std::string token_bytes(TokenId id, bool special) const = 0;
  /// Whole ids to text; invalid UTF-8 becomes U+FFFD.
  virtual std::string decode(std::span<const TokenId> ids, bool special) const = 0;

  virtual int vocab_size() const = 0;
  virtual bool is_end_of_generation(TokenId id) const = 0;
  virtual const TokenizerSpec& spec() const = 0;
  /// The text of a special token ("" when there is none), as chat templates want bos_token and
  /// eos_token.
  std::string special_text(std::optional<TokenId> id) const;
};

/// Turns a stream of ids into pieces of valid UTF-8: bytes of an unfinished character are held back
/// until it is whole. A byte that can start or continue no character comes out as U+FFFD.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool special = false);
  /// The text that `id` completes; may be empty.
  std::string push(TokenId id);
  /// True while bytes of an unfinished character are held back.
  bool holds_back() const { return !pending_.empty(); }
  /// What is still held back, as U+FFFD.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool special_;
  std::string pending_;
};

}  // namespace mokume
