#include "quantize/encoder.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "quantize/parallel.h"
#include "weights/encode.h"

namespace mokume {
namespace {

constexpr int64_t kGroup = 16;

std::span<uint8_t> bytes_of(std::vector<std::byte>& bytes, int64_t begin, int64_t count) {
  return {reinterpret_cast<uint8_t*>(bytes.data()) + begin, static_cast<size_t>(count)};
}

Result<EncodedMatrix> encode_int8(const EncodeJob& job) {
  const int64_t columns = job.rows.columns();
  EncodedMatrix encoded;
  encoded.values.resize(static_cast<size_t>(job.rows.rows() * columns));
  encoded.scales.resize(static_cast<size_t>(job.rows.rows()) * sizeof(float));
  auto* values = reinterpret_cast<int8_t*>(encoded.values.data());
  const auto encode = [&](int64_t row, std::span<float> buffer) -> Status {
    MKM_RETURN_IF_ERROR(job.rows.read(row, buffer));
    const float scale =
        encode_int8_row(buffer, {values + row * columns, static_cast<size_t>(columns)});
    std::memcpy(encoded.scales.data() + row * static_cast<int64_t>(sizeof(scale)), &scale,
                sizeof(scale));
    return absl::OkStatus();
  };
  MKM_RETURN_IF_ERROR(for_each_row(job.rows.rows(), columns, job.threads, encode));
  return encoded;
}

Result<float> largest_magnitude(const EncodeJob& job) {
  std::atomic<float> largest = 0;
  const auto encode = [&](int64_t row, std::span<float> buffer) -> Status {
    MKM_RETURN_IF_ERROR(job.rows.read(row, buffer));
    float found = 0;
    for (const float x : buffer) found = std::max(found, std::abs(x));
    float known = largest.load();
    while (found > known && !largest.compare_exchange_weak(known, found)) {
    }
    return absl::OkStatus();
  };
  MKM_RETURN_IF_ERROR(for_each_row(job.rows.rows(), job.rows.columns(), job.threads, encode));
  return largest.load();
}

Result<EncodedMatrix> encode_nvfp4(const EncodeJob& job) {
  const int64_t columns = job.rows.columns();
  MKM_ASSIGN_OR_RETURN(const float largest, largest_magnitude(job));
  EncodedMatrix encoded;
  encoded.divisor = nvfp4_divisor(largest);
  encoded.values.resize(static_cast<size_t>(job.rows.rows() * columns / 2));
  encoded.scales.resize(static_cast<size_t>(job.rows.rows() * columns / kGroup));
  const auto encode = [&](int64_t row, std::span<float> buffer) -> Status {
    MKM_RETURN_IF_ERROR(job.rows.read(row, buffer));
    encode_nvfp4_row(buffer, encoded.divisor,
                     bytes_of(encoded.values, row * columns / 2, columns / 2),
                     bytes_of(encoded.scales, row * columns / kGroup, columns / kGroup));
    return absl::OkStatus();
  };
  MKM_RETURN_IF_ERROR(for_each_row(job.rows.rows(), columns, job.threads, encode));
  return encoded;
}

}  // namespace

Result<EncodedMatrix> encode_plainly(const EncodeJob& job) {
  return job.type == DType::kI8 ? encode_int8(job) : encode_nvfp4(job);
}

}  // namespace mokume
