// A model's tokenizer on its way into another container.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/load_model.h"
#include "quantize/facts.h"
#include "weights/gguf_writer.h"

namespace mokume {

/// The ids of special tokens: the tokenizer's, otherwise what the config.json of the directory
/// `input` says. None are known of a GGUF file without tokenizer.
Result<TokenIds> token_ids(const LoadedModel& model, const std::string& input);

/// Puts tokenizer and generation_config.json into `directory`: from a directory `input` the files
/// that belong to it, as they are, from a GGUF file those made of its tokenizer. False when the
/// model has none.
Result<bool> write_tokenizer_files(const LoadedModel& model, const std::string& input,
                                   const std::string& directory, const TokenIds& ids);

/// The keys tokenizer.* of a GGUF file: those of the source where it is one. The only key is model
/// "none" when the model has no tokenizer, or, which is logged, one that GGUF has no keys for.
Result<std::vector<GgufKeyValue>> gguf_tokenizer(const LoadedModel& model);

}  // namespace mokume
