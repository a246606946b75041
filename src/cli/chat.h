// `mokume chat`: a conversation with a model in the terminal.
#pragma once

#include <istream>
#include <optional>
#include <ostream>
#include <string>

#include "base/status.h"
#include "config/config.h"

namespace mokume {

struct ChatOptions {
  Config config;
  std::string system;  ///< empty: none but the template's own
  std::optional<double> temperature;
  std::optional<uint64_t> seed;
  std::optional<int64_t> max_tokens;
  bool prompt = false;  ///< print "> " before each question
  bool progress = false;
};

/// Reads a question a line until the end of `in` and writes the answers as they come.
Status run_chat(const ChatOptions& options, std::istream& in, std::ostream& out);

}  // namespace mokume
