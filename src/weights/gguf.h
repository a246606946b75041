// GGUF v2 and v3 files, memory-mapped. Format: ggml's docs/gguf.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "weights/weight_source.h"

namespace mokume {

/// A metadata value. Integers of every width are widened; arrays hold one of the four kinds.
using MetadataValue = std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<bool>,
                                   std::vector<int64_t>, std::vector<uint64_t>, std::vector<double>,
                                   std::vector<std::string>>;

class GgufFile : public WeightSource {
 public:
  /// Maps the file and checks its whole header; InvalidArgument says what is wrong and at which
  /// byte.
  static Result<std::shared_ptr<GgufFile>> open(const std::string& path);

  /// As open(), for a file that is in memory; `name` stands for its path in messages.
  static Result<std::shared_ptr<GgufFile>> from_bytes(std::vector<std::byte> bytes,
                                                      const std::string& name);

  /// Null when there is no such key.
  virtual const MetadataValue* metadata(std::string_view key) const = 0;
  virtual std::vector<std::string> metadata_keys() const = 0;
  virtual uint32_t version() const = 0;

  /// Typed look-ups: NotFound without the key, InvalidArgument when it has another type or is out
  /// of [min, max]. An integer key may be stored in any integer width.
  Result<std::string> get_string(std::string_view key) const;
  Result<int64_t> get_int(std::string_view key, int64_t min, int64_t max) const;
  Result<double> get_float(std::string_view key, double min, double max) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::vector<std::string>> get_strings(std::string_view key) const;
  Result<std::vector<int64_t>> get_ints(std::string_view key) const;
};

}  // namespace mokume
