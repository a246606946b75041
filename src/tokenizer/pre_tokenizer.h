// Cuts text into the pieces ("words") that byte-pair merges never cross.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mokume {

/// Cuts pieces into the matches of a regular expression and what lies between them.
struct SplitRule {
  std::string pattern;     ///< as tokenizer.json has it: see split_pattern.h
  bool keeps_gaps = true;  ///< false: what lies between the matches is dropped

  bool operator==(const SplitRule&) const = default;
};

/// Rules that apply one after the other, each within the pieces that the one before left.
struct Splitting {
  std::vector<SplitRule> rules;
  /// Whether a piece that is a token as it stands is taken so, even if no merges lead to it.
  bool prefers_whole_pieces = false;

  bool operator==(const Splitting&) const = default;
};

/// The families that have a name in GGUF's tokenizer.ggml.pre; NotFound, listing the known names,
/// for any other.
Result<Splitting> splitting_of(std::string_view name);
/// The name of a family that splits so; empty when there is none.
std::string_view name_of(const Splitting& splitting);

/// Immutable; may be used from several threads at once.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  static Result<std::unique_ptr<const PreTokenizer>> create(std::string_view name);
  /// Unimplemented or InvalidArgument, quoting the pattern, for one that cannot be run.
  static Result<std::unique_ptr<const PreTokenizer>> create(const Splitting& splitting);
  static constexpr size_t kMaxRules = 16;

  /// The pieces of `text`, which must be valid UTF-8, from left to right: none is empty, and where
  /// every rule keeps its gaps they are the whole text. ResourceExhausted when a regular expression
  /// needs more than its bounds, which are in proportion to the text.
  virtual Result<std::vector<std::string_view>> split(std::string_view text) const = 0;

  virtual bool prefers_whole_pieces() const = 0;
};

}  // namespace mokume
