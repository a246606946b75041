// safetensors files, memory-mapped: one, or the shards of a directory. Format: safetensors' README,
// section "Format".
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "weights/weight_source.h"

namespace mokume {

/// U8 is handed out as E2M1 and I32 as I8+128, with as many columns as are packed in it: nothing
/// else that mokume reads is stored so. Tensors of types that it does not compute with (I64,
/// F8_E5M2, ...), without elements or of more than four dimensions are in names(); asking for one
/// is InvalidArgument.
class SafetensorsFile : public WeightSource {
 public:
  /// Maps the file and checks its whole header; InvalidArgument names the tensor and the file.
  static Result<std::shared_ptr<SafetensorsFile>> open(const std::string& path);

  /// As open(), for a file that is in memory; `name` stands for its path in messages.
  static Result<std::shared_ptr<SafetensorsFile>> from_bytes(std::vector<std::byte> bytes,
                                                             const std::string& name);
};

/// The weights of a Hugging Face directory: the shards that model.safetensors.index.json lists,
/// otherwise model.safetensors. Every tensor of a shard must be listed for it, and the other way
/// round; NotFound names a shard that is missing.
Result<std::shared_ptr<WeightSource>> open_safetensors_directory(const std::string& directory);

}  // namespace mokume
