// What every tokenizer's description must hold to.
#pragma once

#include "tokenizer/tokenizer.h"

namespace mokume {

/// InvalidArgument, saying what is wrong, for a spec that Tokenizer::create() may not take.
Status check_spec(const TokenizerSpec& spec);

}  // namespace mokume
