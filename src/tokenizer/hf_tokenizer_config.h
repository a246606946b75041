// What a Hugging Face directory says about a tokenizer beside tokenizer.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// tokenizer_config.json.
struct HfTokenizerConfig {
  std::optional<std::string> bos, eos, padding, unknown;  ///< texts of tokens
  std::optional<bool> add_bos, add_eos;
  std::string chat_template;  ///< Jinja source, or empty; of several the one called "default"
};

/// Errors name the key and `name`, the file's.
Result<HfTokenizerConfig> parse_tokenizer_config(std::string_view text, std::string_view name);

/// "eos_token_id" of a generation_config.json or config.json (there also inside "text_config"), a
/// number or a list; empty where there is none.
Result<std::vector<TokenId>> parse_eos_ids(std::string_view text, std::string_view name);

/// Puts what `config` says into `spec`. Where both say which token goes before or after a text,
/// tokenizer.json's is kept; whether it goes there is for the config to say. InvalidArgument for a
/// bos or eos that is no token; paddings and unknowns that are none are passed over. `name` is the
/// config's file.
Status apply_tokenizer_config(const HfTokenizerConfig& config, std::string_view name,
                              TokenizerSpec& spec);

}  // namespace mokume
