// The tokenizer of a Hugging Face directory.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

struct HfTokenizer {
  TokenizerSpec spec;         ///< as many tokens as the model's vocabulary has rows
  std::string chat_template;  ///< Jinja source, or empty
};

/// From tokenizer.json, tokenizer_config.json, generation_config.json (config.json where it names
/// no end) and chat_template.jinja (before the config's own). Empty, with a warning where other
/// tokenizer files lie there, without a tokenizer.json. InvalidArgument for an id beyond
/// `vocab_size`; errors name key and file.
Result<std::optional<HfTokenizer>> load_hf_tokenizer(const std::filesystem::path& directory,
                                                     int64_t vocab_size);

}  // namespace mokume
