// A safetensors file of arbitrary bytes: reading it and all of its tensors.
#include <cstdint>

#include "weights/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto file = mokume::SafetensorsFile::from_bytes({bytes, bytes + size}, "fuzz");
  if (!file.ok()) return 0;
  for (const std::string& name : (*file)->names()) {
    const auto view = (*file)->tensor(name);
    if (!view.ok()) continue;
    std::vector<float> row(view->columns());
    mokume::dequantize_row(*view, 0, row);
    mokume::dequantize_row(*view, view->rows() - 1, row);
  }
  return 0;
}
