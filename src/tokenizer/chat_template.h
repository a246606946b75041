// A model's own chat template (Jinja), run by a small bounded interpreter.
//
// Non-goals: import, include, extends, files, network, user-defined filters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mokume {

/// What one rendering may cost; exceeding it is InvalidArgument (the template) or ResourceExhausted
/// (the limit).
struct TemplateLimits {
  int64_t max_steps = 10'000'000;  ///< evaluated nodes
  int max_depth = 100;             ///< nested expressions, blocks and macro calls
  size_t max_output_bytes = 8u << 20;
  size_t max_value_bytes = 32u << 20;  ///< of all values alive, roughly
  /// Seconds since 1970 for strftime_now(), which prints local time; the machine's clock when
  /// empty.
  std::function<int64_t()> clock;
};

/// Immutable; may be rendered from several threads at once.
class ChatTemplate {
 public:
  virtual ~ChatTemplate() = default;
  /// Syntax errors give line and column.
  static Result<std::shared_ptr<const ChatTemplate>> parse(std::string_view source);

  /// `context` is the template's variables (messages, tools, add_generation_prompt, bos_token,
  /// eos_token, ...). raise_exception() in the template is InvalidArgument with its message.
  virtual Result<std::string> render(const nlohmann::ordered_json& context,
                                     const TemplateLimits& limits = {}) const = 0;
};

}  // namespace mokume
