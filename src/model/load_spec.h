// The families that mokume knows. A new one is a file with a loader and a line in load_spec.cc.
#pragma once

#include "base/status.h"
#include "model/model_spec.h"
#include "weights/gguf.h"

namespace mokume {

/// The model that the file holds, by its general.architecture. Every hyperparameter is bounded and
/// every tensor's shape and type checked; the views point into `file`. InvalidArgument for an
/// unknown family lists the known ones.
Result<ModelSpec> load_spec(const GgufFile& file);

/// Llama and what shares its architecture (Mistral, SmolLM2).
Result<ModelSpec> load_llama(const GgufFile& file);
/// Qwen2 and Qwen2.5.
Result<ModelSpec> load_qwen2(const GgufFile& file);
Result<ModelSpec> load_qwen3(const GgufFile& file);
/// Qwen3.5 and what shares its architecture (Qwen3.6).
Result<ModelSpec> load_qwen3_5(const GgufFile& file);

}  // namespace mokume
