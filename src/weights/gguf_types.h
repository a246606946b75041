// ggml's tensor types by the numbers that GGUF files use (ggml.h, enum ggml_type).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/dtype.h"

namespace mokume {

/// Empty for a type that mokume cannot read.
std::optional<DType> dtype_of_ggml_type(uint32_t id);

/// The other way round; empty for a type that GGUF files do not hold.
std::optional<uint32_t> ggml_type_of(DType dtype);

/// ggml's name of a type, mokume's own or not; empty for a number that ggml does not have.
std::string_view ggml_type_name(uint32_t id);

/// "F32 (0), F16 (1), ...": what dtype_of_ggml_type knows.
std::string known_ggml_types();

}  // namespace mokume
