// The rope keys of a GGUF file, the same for every family.
#pragma once

#include "model/checkpoint.h"
#include "model/rope.h"

namespace mokume {

/// Reads rope.dimension_count, rope.freq_base, rope.scaling.* and the tensor rope_freqs.weight.
/// Scalings none, linear and yarn are known.
Result<Rope> load_gguf_rope(Checkpoint& checkpoint, int head_dim, int context_length,
                            bool interleaved);

}  // namespace mokume
