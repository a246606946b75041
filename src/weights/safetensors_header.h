// The parsed and checked header of a safetensors file.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/tensor_view.h"

namespace mokume {

struct SafetensorsHeader {
  struct Entry {
    TensorView view;
    std::string refusal;  ///< why there is no view of it, for what mokume cannot compute with
    bool is_i64 = false;  ///< 64-bit integers, `view.bytes` of them
  };
  std::vector<std::string> names;  ///< in the order of their data
  std::map<std::string, Entry, std::less<>> tensors;
};

/// Parses the header of `file`, which the views then point into. Takes time and memory in
/// proportion to the header. `path` is for messages.
Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> file,
                                                   std::string_view path);

/// The values of an I64 tensor with one dimension: token ids, say, that lie beside what was
/// computed from them.
Result<std::vector<int64_t>> safetensors_integers(std::span<const std::byte> file,
                                                  std::string_view name, std::string_view path);

/// A tensor as the header's JSON describes it.
struct SafetensorsInfo {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t begin = 0;  ///< of the data, from where the header ends
  uint64_t end = 0;
};

/// Part of parse_safetensors_header: the JSON alone. Refuses what is not exactly the format's
/// structure, with a name twice as well.
Result<std::vector<SafetensorsInfo>> parse_safetensors_json(std::string_view json,
                                                            std::string_view path);

}  // namespace mokume
