#include "device/cuda/upload.h"

#include <algorithm>
#include <cstring>

namespace mokume::cuda {
namespace {

constexpr uint64_t kBufferBytes = uint64_t{8} << 20;

std::byte* plane(const void* base, size_t row_bytes, int row) {
  auto* const bytes = static_cast<std::byte*>(const_cast<void*>(base));
  return bytes + row_bytes * static_cast<size_t>(row);
}

}  // namespace

Result<Uploader> Uploader::create(Gpu& gpu) {
  Uploader uploader(gpu);
  for (Lane& lane : uploader.lanes_) {
    MKM_ASSIGN_OR_RETURN(lane.stream, make_stream(gpu));
    MKM_ASSIGN_OR_RETURN(lane.buffer, PinnedBlock::allocate(gpu, kBufferBytes));
  }
  return uploader;
}

Uploader::~Uploader() {
  for (const Lane& lane : lanes_) {
    if (lane.stream.get()) gpu_->synchronize(lane.stream.get()).IgnoreError();
  }
}

Result<Uploader::Lane*> Uploader::next_lane() {
  Lane& lane = lanes_[turn_];
  turn_ = 1 - turn_;
  MKM_RETURN_IF_ERROR(gpu_->synchronize(lane.stream.get()));
  return &lane;
}

Status Uploader::matrix(const Linear& linear, const Matrix& matrix, std::string_view path) {
  MKM_RETURN_IF_ERROR(check_linear(linear, path));
  const size_t row = row_bytes(matrix.format, matrix.columns).all();
  if (row > kBufferBytes) {
    return invalid_argument("cuda", "tensor ", linear.weight.name, " ", to_string(linear.weight),
                            " has rows of more than ", kBufferBytes, " bytes");
  }
  const int at_once = static_cast<int>(std::min<uint64_t>(kBufferBytes / row, 1u << 20));
  for (int first = 0; first < matrix.rows; first += at_once) {
    MKM_RETURN_IF_ERROR(rows(linear, matrix, first, std::min(at_once, matrix.rows - first)));
  }
  return absl::OkStatus();
}

Status Uploader::rows(const Linear& linear, const Matrix& matrix, int first, int count) {
  MKM_ASSIGN_OR_RETURN(Lane * lane, next_lane());
  const RowBytes row = row_bytes(matrix.format, matrix.columns);
  const auto rows = static_cast<size_t>(count);
  const RowPlanes staged{lane->buffer.data(), lane->buffer.data() + rows * row.data,
                         lane->buffer.data() + rows * (row.data + row.scales)};
  for (size_t r = 0; r < rows; ++r) {
    const RowPlanes at{staged.data + r * row.data, staged.scales + r * row.scales,
                       staged.minimums + r * row.minimums};
    if (!write_row(linear, matrix.format, first + static_cast<int64_t>(r), at)) {
      return invalid_argument("cuda", "tensor ", linear.weight.name, " holds weights that are NaN");
    }
  }
  const auto copy = [&](const void* to, const std::byte* from, size_t bytes) -> Status {
    if (bytes == 0) return absl::OkStatus();
    return gpu_->copy_to_device(lane->stream.get(), plane(to, bytes, first), from, rows * bytes);
  };
  MKM_RETURN_IF_ERROR(copy(matrix.data, staged.data, row.data));
  MKM_RETURN_IF_ERROR(copy(matrix.scales, staged.scales, row.scales));
  return copy(matrix.minimums, staged.minimums, row.minimums);
}

Status Uploader::bytes(const std::byte* from, uint64_t count, void* to) {
  for (uint64_t done = 0; done < count; done += kBufferBytes) {
    const uint64_t piece = std::min(kBufferBytes, count - done);
    MKM_ASSIGN_OR_RETURN(Lane * lane, next_lane());
    std::memcpy(lane->buffer.data(), from + done, piece);
    MKM_RETURN_IF_ERROR(gpu_->copy_to_device(lane->stream.get(), static_cast<std::byte*>(to) + done,
                                             lane->buffer.data(), piece));
  }
  return absl::OkStatus();
}

Status Uploader::zero(void* at, uint64_t count) {
  if (count == 0) return absl::OkStatus();
  return gpu_->zero(lanes_[0].stream.get(), at, count);
}

Status Uploader::finish() {
  for (Lane& lane : lanes_) MKM_RETURN_IF_ERROR(gpu_->synchronize(lane.stream.get()));
  return absl::OkStatus();
}

}  // namespace mokume::cuda
