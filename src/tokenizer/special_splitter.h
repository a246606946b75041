// Finds the tokens that stand outside byte-pair merging: control tokens and those a user defined.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// Immutable; may be used from several threads at once. Refers to the spec's texts, which must
/// outlive it.
class SpecialSplitter {
 public:
  /// Tokens without text, or whose text is not UTF-8, are never found; of equal texts the lowest id
  /// is. Every text must be at most `kMaxSpecialBytes` long, which bounds the search to that many
  /// steps a byte.
  /// Of the spec's tokens, those whose finding says `in_normalized_text`, or those where none says
  /// so.
  SpecialSplitter(const TokenizerSpec& spec, bool in_normalized_text);
  static constexpr size_t kMaxSpecialBytes = 1024;
  static bool is_special(TokenizerSpec::TokenType type);

  /// A special token, with the white space that it takes, or (when `token` is empty) a stretch of
  /// plain text.
  struct Fragment {
    std::string_view text;
    std::optional<TokenId> token;
  };
  /// Cuts `text` from left to right; where several tokens begin at the same byte the longest is
  /// taken. User-defined tokens are always found, control and unknown tokens only if
  /// `parse_special`.
  std::vector<Fragment> split(std::string_view text, bool parse_special) const;

 private:
  using Entry = std::pair<std::string_view, TokenId>;
  /// Sorted by text; the entries that begin with byte b are [first[b], first[b + 1]).
  struct Table {
    std::vector<Entry> entries;
    std::array<uint32_t, 257> first{};

    void build();
    const Entry* longest_prefix_of(std::string_view text) const;
  };
  Table user_defined_, all_;
  absl::flat_hash_map<TokenId, TokenizerSpec::Finding> findings_;
};

}  // namespace mokume
