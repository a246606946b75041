// The parts of tokenizer.json around its model.
#pragma once

#include "tokenizer/json_field.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// "normalizer": null, NFC, or a Sequence of these.
Status read_normalizer(const JsonField& normalizer, TokenizerSpec& spec);
/// "pre_tokenizer": what ends in ByteLevel. `splitting.prefers_whole_pieces` must be set already;
/// a splitting that has a name is given by its name.
Status read_pre_tokenizer(const JsonField& pre_tokenizer, TokenizerSpec& spec);
/// "post_processor": which tokens go before and after a text. The vocabulary must be there.
Status read_post_processor(const JsonField& post_processor, TokenizerSpec& spec);
/// "decoder": null or ByteLevel.
Status check_decoder(const JsonField& decoder);

}  // namespace mokume
