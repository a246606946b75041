#include "tensor/dtype.h"

#include <array>

#include "base/checked.h"

namespace mokume {
namespace {

// In the order of DType.
constexpr std::array kTypes = {
    DTypeInfo{"F32", 1, 4},      DTypeInfo{"F16", 1, 2},      DTypeInfo{"BF16", 1, 2},
    DTypeInfo{"Q8_0", 32, 34},   DTypeInfo{"Q4_0", 32, 18},   DTypeInfo{"Q4_1", 32, 20},
    DTypeInfo{"Q5_0", 32, 22},   DTypeInfo{"Q5_1", 32, 24},   DTypeInfo{"Q4_K", 256, 144},
    DTypeInfo{"Q5_K", 256, 176}, DTypeInfo{"Q6_K", 256, 210}, DTypeInfo{"IQ4_NL", 32, 18},
    DTypeInfo{"MXFP4", 32, 17},  DTypeInfo{"NVFP4", 64, 36},  DTypeInfo{"I8", 1, 1},
    DTypeInfo{"F8_E4M3", 1, 1},  DTypeInfo{"E2M1", 2, 1},     DTypeInfo{"I8+128", 1, 1},
};
static_assert(kTypes.size() == static_cast<size_t>(DType::kI8Plus128) + 1);

}  // namespace

const DTypeInfo& dtype_info(DType type) { return kTypes[static_cast<size_t>(type)]; }

std::optional<uint64_t> row_bytes(DType type, uint64_t elements) {
  const DTypeInfo& info = dtype_info(type);
  if (elements % info.block_elements != 0) return std::nullopt;
  return checked_mul(elements / info.block_elements, info.block_bytes);
}

}  // namespace mokume
