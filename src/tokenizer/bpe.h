// Byte-pair merging of one word, in time O(n log n) of its length.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/status.h"

namespace mokume {

/// The merges of a vocabulary. Immutable once built; may be used from several threads at once.
///
/// A *symbol* is a byte string that merging can produce; the 256 single bytes are symbols 0 to 255.
/// A merge needs no token of its own: as in llama.cpp it is known by the text of its two sides, and
/// which token a symbol is, if any, is asked at the end.
class MergeTable {
 public:
  /// `merges` are "left right" in GPT-2's alphabet, best first; of equal ones the first counts, and
  /// those that no text can reach (characters outside the alphabet) are left out. InvalidArgument
  /// for a line without two sides, or more than `kMaxMerges`.
  static Result<MergeTable> create(std::span<const std::string> merges);
  static constexpr size_t kMaxMerges = size_t{1} << 24;

  struct Merge {
    int32_t rank;
    int32_t symbol;  ///< what the two become
  };
  /// Null when the two never merge.
  const Merge* find(int32_t left, int32_t right) const;

  /// Symbols by number: their bytes.
  const std::vector<std::string>& symbols() const { return symbols_; }

 private:
  absl::flat_hash_map<uint64_t, Merge> merges_;
  std::vector<std::string> symbols_;
};

/// Merges words; keeps its buffers from word to word. Not to be shared between threads.
class WordMerger {
 public:
  explicit WordMerger(const MergeTable& table) : table_(table) {}

  /// A symbol and where it begins in the word.
  struct Part {
    int32_t symbol;
    uint32_t begin;
  };
  /// `word` (less than 2^31 bytes) after all merges: the best rank first, of equals the leftmost.
  /// Valid until the next call.
  std::span<const Part> merge(std::string_view word);

 private:
  /// Node i begins at byte i of the word; a node that was merged into its left neighbour has symbol
  /// -1.
  struct Node {
    int32_t symbol, previous, next;
  };
  struct Candidate {
    int32_t rank, left_node, left_symbol, right_symbol;
  };
  void propose(int32_t left_node);
  bool still_stands(const Candidate& candidate) const;
  void join(int32_t left_node, int32_t symbol);

  const MergeTable& table_;
  std::vector<Node> nodes_;
  std::vector<Candidate> heap_;
  std::vector<Part> parts_;
};

}  // namespace mokume
