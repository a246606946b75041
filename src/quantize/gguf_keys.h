// The metadata of a GGUF file, as llama.cpp's converter writes it.
#pragma once

#include <vector>

#include "base/status.h"
#include "quantize/facts.h"
#include "tensor/weight_format.h"
#include "tokenizer/tokenizer.h"
#include "weights/gguf.h"
#include "weights/gguf_writer.h"

namespace mokume {

/// What the model is; Unimplemented when the family's keys cannot say it.
Result<std::vector<GgufKeyValue>> gguf_model_keys(const ModelSpec& spec, const Family& family,
                                                  WeightFormat format);

/// The keys tokenizer.* of another GGUF file, as they are.
std::vector<GgufKeyValue> copied_tokenizer_keys(const GgufFile& source);

/// Keys for a byte-level BPE tokenizer and a chat template; tokens that lack for `vocab_size` are
/// filled up with unused ones, as llama.cpp wants it. Unimplemented for what GGUF has no keys for.
Result<std::vector<GgufKeyValue>> tokenizer_keys(const TokenizerSpec& spec,
                                                 const std::string& chat_template, int vocab_size);

}  // namespace mokume
