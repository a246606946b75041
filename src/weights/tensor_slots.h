// The places of a file's tensors, and how much of each has been written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "weights/output_file.h"
#include "weights/weight_writer.h"

namespace mokume {

/// Part of the writers. After the last add(), different tensors may be written from different
/// threads.
class TensorSlots {
 public:
  /// InvalidArgument when the name was added before, is empty, too long or not of printable ASCII.
  Status add(std::string_view name, uint64_t bytes, size_t max_name_bytes, const std::string& path);
  /// `offset` in the file, of a tensor that was added.
  void place(std::string_view name, uint64_t offset);

  Status write(const OutputFile& file, std::string_view name, std::span<const std::byte> bytes);
  /// InvalidArgument names a tensor of which bytes lack.
  Status check_complete(const std::string& path) const;

 private:
  struct Slot {
    uint64_t offset = 0;
    uint64_t bytes = 0;
    uint64_t written = 0;
  };
  std::map<std::string, Slot, std::less<>> slots_;
};

/// Writes the tensors of one file, whose header is in it already.
std::unique_ptr<WeightWriter> make_slot_writer(OutputFile file, TensorSlots slots);

}  // namespace mokume
