// Finds the first stop string in text that arrives in pieces.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mokume {

/// The stop strings of a call with their failure functions (Knuth, Morris, Pratt 1977): a byte
/// costs each of them amortized constant time, however hostile they are. Immutable, shared by the
/// choices of a call.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> strings);  ///< none empty

  const std::vector<std::string>& strings() const { return strings_; }
  /// The length of the longest prefix of string `i` that ends the text, once `byte` follows text
  /// that ended in the first `matched` bytes of it.
  size_t advance(size_t i, size_t matched, char byte) const;

 private:
  std::vector<std::string> strings_;
  std::vector<std::vector<uint32_t>> failure_;
};

/// The match that ends first wins; of those that end at the same byte, the longest. So where the
/// text is cut does not depend on how it was split.
class StopMatcher {
 public:
  explicit StopMatcher(std::shared_ptr<const StopStrings> strings);

  /// Takes the next piece. True when a stop string is complete; then nothing more may be pushed.
  bool push(std::string_view piece);
  /// How many bytes of all that was pushed are surely part of the answer: all before the stop
  /// string, or before what could still become one.
  uint64_t safe() const { return safe_; }

 private:
  std::shared_ptr<const StopStrings> strings_;
  std::vector<size_t> matched_;
  uint64_t total_ = 0;
  uint64_t safe_ = 0;
};

}  // namespace mokume
