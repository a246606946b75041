// Writes safetensors files, and directories of shards. Format: safetensors' README, section
// "Format"; shards as Hugging Face names them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weights/weight_writer.h"

namespace mokume {

/// A tensor to write. `dtype` is the format's name of it: F64, F32, F16, BF16, F8_E4M3, F8_E5M2,
/// I64, I32, I16, I8, U64, U32, U16, U8 or BOOL; what packs several elements into a byte (E2M1) is
/// stored as U8. No dimensions are a single number.
struct SafetensorsTensor {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
};

/// Bytes of the tensor's data; InvalidArgument when the dtype or the shape is none.
Result<uint64_t> safetensors_bytes(const SafetensorsTensor& tensor);

using SafetensorsMetadata = std::map<std::string, std::string>;

/// What transformers expects to find in the header of a PyTorch checkpoint.
inline const SafetensorsMetadata kPyTorchMetadata = {{"format", "pt"}};

/// One file at `path`. The data lie in the order given, but that wider elements come first, so that
/// all are aligned. Names are printable ASCII, each once.
Result<std::unique_ptr<WeightWriter>> create_safetensors_file(
    const std::string& path, std::span<const SafetensorsTensor> tensors,
    const SafetensorsMetadata& metadata = kPyTorchMetadata);

/// A shard ends before the tensor that would make its data larger.
inline constexpr uint64_t kShardBytes = 4'000'000'000;

/// The weights of a Hugging Face directory, which exists: model.safetensors when all fits into one
/// shard, otherwise model-00001-of-0000N.safetensors, ... and model.safetensors.index.json. Tensors
/// go to the shards in the order given. An OutputDirectory makes the whole of it appear at once,
/// config.json and all.
Result<std::unique_ptr<WeightWriter>> create_safetensors_directory(
    const std::string& directory, std::span<const SafetensorsTensor> tensors,
    uint64_t shard_bytes = kShardBytes, const SafetensorsMetadata& metadata = kPyTorchMetadata);

}  // namespace mokume
