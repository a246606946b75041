// What the loaders of GGUF families need: bounded hyperparameters and tensors of the right shape.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tensor_reader.h"
#include "weights/gguf.h"

namespace mokume {

/// Reads a GGUF file for one family. Errors name key or tensor and the file. Borrows the file.
class Checkpoint : public TensorReader {
 public:
  /// `architecture` is the prefix of the keys: "llama".
  Checkpoint(const GgufFile& file, const std::string& architecture)
      : TensorReader(file, architecture), file_(file) {}

  const GgufFile& file() const { return file_; }

  /// The key "<architecture>.<name>", within [min, max]; with `fallback`, that where there is no
  /// such key.
  Result<int> integer(std::string_view name, int min, int max,
                      std::optional<int> fallback = std::nullopt) const;
  Result<double> real(std::string_view name, double min, double max,
                      std::optional<double> fallback = std::nullopt) const;
  Result<std::string> text(std::string_view name, std::string_view fallback) const;
  /// An array of booleans; empty without the key.
  Result<std::vector<bool>> flags(std::string_view name) const;
  bool has_key(std::string_view name) const { return file_.metadata(key(name)) != nullptr; }

 private:
  std::string key(std::string_view name) const { return str_cat(architecture(), ".", name); }

  const GgufFile& file_;
};

}  // namespace mokume
