// The fields that chat and completion requests share.
#pragma once

#include "api/types.h"
#include "http/decode.h"
#include "http/fields.h"

namespace mokume {

/// All but logprobs and echo, which the two spell differently. Errors stay in `fields`.
void decode_options(Fields& fields, GenerationOptions& options);
void decode_answer_options(Fields& fields, AnswerOptions& answer);
/// Fails for fields that would change the answer and that mokume does not have.
void refuse_unsupported(Fields& fields);

}  // namespace mokume
