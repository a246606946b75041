// A model file of arbitrary bytes: reading it, all of its tensors, its model and its tokenizer
// facts.
#include <cstdint>

#include "model/gguf_tokenizer.h"
#include "model/layer_tensors.h"
#include "model/load_spec.h"

namespace {

// The first row and the last: an overrun shows at one of them.
void read_ends(const mokume::TensorView& view) {
  std::vector<float> row(view.columns());
  mokume::dequantize_row(view, 0, row);
  mokume::dequantize_row(view, view.rows() - 1, row);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto file = mokume::GgufFile::from_bytes({bytes, bytes + size}, "fuzz");
  if (!file.ok()) return 0;
  for (const std::string& name : (*file)->names()) read_ends((*file)->tensor(name).value());
  const auto spec = mokume::load_spec(**file);
  if (spec.ok()) {
    for (const mokume::LayerSpec& layer : spec->layers) {
      for (const mokume::TensorView& view : mokume::layer_tensors(layer)) read_ends(view);
    }
  }
  (void)mokume::load_gguf_tokenizer(**file);
  return 0;
}
