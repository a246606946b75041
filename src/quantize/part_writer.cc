#include "quantize/part_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "quantize/parallel.h"
#include "weights/encode.h"

namespace mokume {
namespace {

constexpr int64_t kSliceBytes = 4 << 20;
constexpr int64_t kGroup = 16;

std::vector<float> floats_of(const TensorView& view) {
  std::vector<float> values(view.bytes / sizeof(float));
  std::memcpy(values.data(), view.data, values.size() * sizeof(float));
  return values;
}

/// `order` counts elements of `width` values each.
std::vector<float> reorder(std::vector<float> values, const Order& order, size_t width) {
  if (order.empty()) return values;
  std::vector<float> out(values.size());
  for (size_t i = 0; i < order.size(); ++i) {
    std::copy_n(values.begin() + order[i] * static_cast<int64_t>(width), width,
                out.begin() + static_cast<int64_t>(i * width));
  }
  return out;
}

bool is_centred_norm(Role role) {
  return role == Role::kFinalNorm || role == Role::kMixerNorm || role == Role::kFfnNorm ||
         role == Role::kQNorm || role == Role::kKNorm;
}

/// As the target format holds the values of such a vector.
Status convert(const PlannedPart& planned, const Conventions& target, std::span<float> values) {
  const bool centre = target.zero_centred_norms && is_centred_norm(planned.part.role);
  const bool decay = planned.part.role == Role::kDeltaDecay;
  for (float& x : values) {
    if (!std::isfinite(x) || (decay && x >= 0)) {
      return invalid_argument("quantize", "tensor ", planned.part.vector.name, " has a value of ",
                              x, "; must be finite", decay ? " and below 0" : "");
    }
    if (centre) x -= 1;
    if (decay && target.log_decay) x = static_cast<float>(std::log(-static_cast<double>(x)));
  }
  return absl::OkStatus();
}

/// One row in a type whose rows hold all that belongs to them; false when a value is too large.
bool encode_row(DType type, std::span<const float> row, std::byte* out) {
  if (type == DType::kQ8_0) {
    const size_t bytes = *row_bytes(type, row.size());
    encode_q8_0_row(row, {reinterpret_cast<uint8_t*>(out), bytes});
    return true;
  }
  const std::span<uint16_t> halves(reinterpret_cast<uint16_t*>(out), row.size());
  type == DType::kBF16 ? encode_bf16_row(row, halves) : encode_f16_row(row, halves);
  const uint16_t infinity = type == DType::kBF16 ? 0x7f80 : 0x7c00;
  return std::ranges::none_of(halves, [&](uint16_t x) { return (x & 0x7fff) == infinity; });
}

}  // namespace

Status PartWriter::write(const PlannedPart& planned) {
  if (!planned.part.is_matrix()) return write_vector(planned);
  MKM_RETURN_IF_ERROR(write_matrix(planned));
  return planned.part.linear.bias ? write_bias(planned) : absl::OkStatus();
}

Status PartWriter::write_floats(const std::string& name, std::span<const float> values) {
  return writer_.write(name, std::as_bytes(values));
}

Status PartWriter::write_vector(const PlannedPart& planned) {
  const TensorView& view = planned.part.vector;
  const size_t width = planned.part.role == Role::kDeltaConv ? view.columns() : 1;
  std::vector<float> values = reorder(floats_of(view), planned.order.rows, width);
  MKM_RETURN_IF_ERROR(convert(planned, plan_.conventions, values));
  MKM_RETURN_IF_ERROR(write_floats(planned.name, values));
  return options_.advance(view.bytes);
}

Status PartWriter::write_bias(const PlannedPart& planned) {
  const TensorView& bias = planned.part.linear.bias;
  return write_floats(str_cat(planned.name, ".bias"),
                      reorder(floats_of(bias), planned.order.rows, 1));
}

Status PartWriter::write_matrix(const PlannedPart& planned) {
  const MatrixRows rows(planned.part.linear, planned.order);
  const bool apart =
      planned.type == DType::kI8 || planned.type == DType::kE2M1 || planned.type == DType::kNVFP4;
  MKM_RETURN_IF_ERROR(apart ? write_encoded(planned, rows) : write_rows(planned, rows));
  options_.source->release(planned.part.linear.weight);
  return absl::OkStatus();
}

Status PartWriter::write_rows(const PlannedPart& planned, const MatrixRows& rows) {
  const auto row_size = static_cast<int64_t>(*row_bytes(planned.type, rows.columns()));
  const int64_t slice_rows = std::max<int64_t>(kSliceBytes / row_size, 1);
  const uint64_t source_row = rows.source().weight.bytes / static_cast<uint64_t>(rows.rows());
  const std::string name = matrix_names(planned).values;
  std::vector<std::byte> slice;
  for (int64_t begin = 0; begin < rows.rows(); begin += slice_rows) {
    const int64_t count = std::min(slice_rows, rows.rows() - begin);
    slice.resize(static_cast<size_t>(count * row_size));
    const auto encode = [&](int64_t row, std::span<float> buffer) -> Status {
      MKM_RETURN_IF_ERROR(rows.read(begin + row, buffer));
      std::byte* out = slice.data() + row * row_size;
      if (encode_row(planned.type, buffer, out)) return absl::OkStatus();
      return invalid_argument("quantize", "tensor ", rows.source().weight.name,
                              " has a value that is too large for ", dtype_info(planned.type).name);
    };
    MKM_RETURN_IF_ERROR(for_each_row(count, rows.columns(), options_.threads, encode));
    MKM_RETURN_IF_ERROR(writer_.write(name, slice));
    if (const TensorView read = rows.slice(begin, begin + count)) options_.source->release(read);
    MKM_RETURN_IF_ERROR(options_.advance(source_row * static_cast<uint64_t>(count)));
  }
  return absl::OkStatus();
}

Status PartWriter::write_encoded(const PlannedPart& planned, const MatrixRows& rows) {
  const DType type = planned.type == DType::kNVFP4 ? DType::kE2M1 : planned.type;
  const EncodeJob job{planned.part, rows, type, options_.threads};
  MKM_ASSIGN_OR_RETURN(const EncodedMatrix encoded, options_.encoder(job));
  const MatrixNames names = matrix_names(planned);
  if (planned.type == DType::kNVFP4) {
    MKM_RETURN_IF_ERROR(write_gguf_nvfp4(names, encoded, rows.columns()));
  } else {
    MKM_RETURN_IF_ERROR(writer_.write(names.values, encoded.values));
    MKM_RETURN_IF_ERROR(writer_.write(names.scales, encoded.scales));
    if (!names.divisor.empty()) {
      MKM_RETURN_IF_ERROR(write_floats(names.divisor, {&encoded.divisor, 1}));
    }
  }
  return options_.advance(rows.source().weight.bytes);
}

Status PartWriter::write_gguf_nvfp4(const MatrixNames& names, const EncodedMatrix& encoded,
                                    int64_t columns) {
  const size_t values = static_cast<size_t>(columns) / 2;
  const size_t scales = static_cast<size_t>(columns / kGroup);
  const size_t blocks = *row_bytes(DType::kNVFP4, static_cast<uint64_t>(columns));
  const size_t rows = encoded.scales.size() / scales;
  const auto* value = reinterpret_cast<const uint8_t*>(encoded.values.data());
  const auto* scale = reinterpret_cast<const uint8_t*>(encoded.scales.data());
  std::vector<std::byte> out(rows * blocks);
  auto* block = reinterpret_cast<uint8_t*>(out.data());
  for (size_t row = 0; row < rows; ++row) {
    to_gguf_nvfp4_row({value + row * values, values}, {scale + row * scales, scales},
                      {block + row * blocks, blocks});
  }
  MKM_RETURN_IF_ERROR(writer_.write(names.values, out));
  const float whole = 1 / encoded.divisor;
  return write_floats(names.scale, {&whole, 1});
}

}  // namespace mokume
