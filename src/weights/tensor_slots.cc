#include "weights/tensor_slots.h"

#include <algorithm>

#include "base/text.h"

namespace mokume {
namespace {

class SlotWriter : public WeightWriter {
 public:
  SlotWriter(OutputFile file, TensorSlots slots)
      : file_(std::move(file)), slots_(std::move(slots)) {}

  Status write(std::string_view tensor, std::span<const std::byte> bytes) override {
    return slots_.write(file_, tensor, bytes);
  }
  Status finish() override {
    MKM_RETURN_IF_ERROR(slots_.check_complete(file_.path()));
    return file_.finish();
  }

 private:
  OutputFile file_;
  TensorSlots slots_;
};

}  // namespace

Status TensorSlots::add(std::string_view name, uint64_t bytes, size_t max_name_bytes,
                        const std::string& path) {
  const bool printable = std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~'; });
  if (name.empty() || name.size() > max_name_bytes || !printable) {
    return invalid_argument("weights", "a tensor is called ", quote(name), "; names are 1 to ",
                            max_name_bytes, " characters of printable ASCII (", path, ")");
  }
  if (slots_.emplace(name, Slot{0, bytes, 0}).second) return absl::OkStatus();
  return invalid_argument("weights", "tensor ", name, " is listed twice (", path, ")");
}

void TensorSlots::place(std::string_view name, uint64_t offset) {
  slots_.find(name)->second.offset = offset;
}

Status TensorSlots::write(const OutputFile& file, std::string_view name,
                          std::span<const std::byte> bytes) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) {
    return not_found("weights", "no tensor ", name, " was listed (", file.path(), ")");
  }
  Slot& slot = found->second;
  if (bytes.size() > slot.bytes - slot.written) {
    return invalid_argument("weights", "tensor ", name, " has ", slot.bytes, " bytes; ",
                            bytes.size(), " more come after ", slot.written, " (", file.path(),
                            ")");
  }
  MKM_RETURN_IF_ERROR(file.write(slot.offset + slot.written, bytes));
  slot.written += bytes.size();
  return absl::OkStatus();
}

Status TensorSlots::check_complete(const std::string& path) const {
  for (const auto& [name, slot] : slots_) {
    if (slot.written == slot.bytes) continue;
    return invalid_argument("weights", "tensor ", name, " has ", slot.bytes, " bytes; only ",
                            slot.written, " were written (", path, ")");
  }
  return absl::OkStatus();
}

std::unique_ptr<WeightWriter> make_slot_writer(OutputFile file, TensorSlots slots) {
  return std::make_unique<SlotWriter>(std::move(file), std::move(slots));
}

}  // namespace mokume
