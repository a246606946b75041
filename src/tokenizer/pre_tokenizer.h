// Cuts text into the pieces ("words") that byte-pair merges never cross.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mokume {

/// Immutable; may be used from several threads at once.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;

  /// `name` as GGUF's tokenizer.ggml.pre has it; NotFound, listing the known names, for any other.
  static Result<std::unique_ptr<const PreTokenizer>> create(std::string_view name);

  /// The pieces of `text`, which must be valid UTF-8: none is empty, together they are the text.
  /// ResourceExhausted when the regular expression needs more than its bounds.
  virtual Result<std::vector<std::string_view>> split(std::string_view text) const = 0;

  /// Whether a piece that is a token as it stands is taken so, even if no merges lead to it.
  virtual bool prefers_whole_pieces() const = 0;
};

}  // namespace mokume
