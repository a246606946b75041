#include "quantize/random_matrix.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "quantize/normal_tables.h"
#include "quantize/parallel.h"
#include "quantize/random_words.h"

namespace mokume {
namespace {

constexpr uint64_t kSliceBytes = 4 << 20;
constexpr uint64_t kPieceWords = 2048;  // that a thread makes at once
constexpr int kGroup = 16;              // columns that share a scale in E2M1
constexpr int kQ8Group = 32;

/// Four entries of `table`, by the four quarters of `word`.
template <typename T>
void look_up(const RandomTable<T>& table, uint64_t word, std::byte* out) {
  const T* entries = table.entries.data();
  const T four[4] = {entries[word & 0xffff], entries[word >> 16 & 0xffff],
                     entries[word >> 32 & 0xffff], entries[word >> 48]};
  std::memcpy(out, four, sizeof(four));
}

class Maker {
 public:
  Maker(const PlannedPart& planned, const RandomMatrixOptions& options, WeightWriter& writer)
      : names_(matrix_names(planned)),
        type_(planned.type),
        rows_(static_cast<uint64_t>(planned.part.linear.weight.rows())),
        columns_(static_cast<uint64_t>(planned.part.linear.weight.columns())),
        sigma_(1 / std::sqrt(static_cast<double>(columns_))),
        options_(options),
        writer_(writer) {}

  Status write() {
    switch (type_) {
      case DType::kF16:
        return write_flat(names_.values, f16_table(sigma_), rows_ * columns_);
      case DType::kBF16:
        return write_flat(names_.values, bf16_table(sigma_), rows_ * columns_);
      case DType::kI8:
        return write_int8();
      case DType::kE2M1:
        return write_e2m1();
      case DType::kNVFP4:
        return write_nvfp4_blocks();
      case DType::kQ8_0:
        return write_q8_0_blocks();
      default:
        return absl::UnimplementedError(str_cat("[quantize] random weights of type ",
                                                dtype_info(type_).name, " (", names_.values, ")"));
    }
  }

 private:
  /// `count` items of `item_bytes`, made by make(item, out) from `item` on, up to `items` of them
  /// for a piece.
  template <typename Make>
  Status write_items(const std::string& name, uint64_t count, uint64_t item_bytes, Make make) {
    constexpr uint64_t kPieceItems = kPieceWords;
    const uint64_t slice_items =
        std::max<uint64_t>(kSliceBytes / (item_bytes * kPieceItems), 1) * kPieceItems;
    std::vector<std::byte> slice;
    for (uint64_t first = 0; first < count; first += slice_items) {
      const uint64_t items = std::min(slice_items, count - first);
      slice.resize(items * item_bytes);
      const auto pieces = static_cast<int64_t>((items + kPieceItems - 1) / kPieceItems);
      MKM_RETURN_IF_ERROR(
          for_each_row(pieces, 0, options_.threads, [&](int64_t piece, std::span<float>) -> Status {
            const uint64_t begin = static_cast<uint64_t>(piece) * kPieceItems;
            const uint64_t end = std::min(begin + kPieceItems, items);
            for (uint64_t i = begin; i < end; ++i) make(first + i, &slice[i * item_bytes]);
            return absl::OkStatus();
          }));
      MKM_RETURN_IF_ERROR(writer_.write(name, slice));
      MKM_RETURN_IF_ERROR(options_.advance(slice.size()));
    }
    return absl::OkStatus();
  }

  /// Entries of one table, four from a word.
  template <typename T>
  Status write_flat(const std::string& name, const RandomTable<T>& table, uint64_t count) {
    const RandomWords random(options_.seed, name);
    MKM_RETURN_IF_ERROR(
        write_items(name, count / 4, 4 * sizeof(T),
                    [&](uint64_t i, std::byte* out) { look_up(table, random[i], out); }));
    if (count % 4 == 0) return absl::OkStatus();
    std::byte four[4 * sizeof(T)];
    look_up(table, random[count / 4], four);
    return writer_.write(name, {four, count % 4 * sizeof(T)});
  }

  Status write_floats(const std::string& name, std::span<const float> values) {
    return writer_.write(name, std::as_bytes(values));
  }

  Status write_int8() {
    const int columns = static_cast<int>(columns_);
    const RandomTable<uint8_t> values = int8_table(typical_largest(columns));
    MKM_RETURN_IF_ERROR(write_flat(names_.values, values, rows_ * columns_));
    // A row's scale goes with its largest magnitude.
    constexpr int kLargest = 1024;
    std::array<double, kLargest> largest{};
    double mean_square = 0;
    for (int i = 0; i < kLargest; ++i) {
      const double x = largest_quantile(columns, (i + 0.5) / kLargest);
      largest[static_cast<size_t>(i)] = x;
      mean_square += x * x / kLargest;
    }
    const double unit = sigma_ / std::sqrt(values.mean_square * mean_square);
    const RandomWords random(options_.seed, names_.scales);
    std::vector<float> scales(rows_);
    for (size_t i = 0; i < scales.size(); ++i) {
      scales[i] = static_cast<float>(unit * largest[random[i] % kLargest]);
    }
    return write_floats(names_.scales, scales);
  }

  /// What the scales must be divided by for the elements to have their variance.
  float divisor(const RandomTable<uint8_t>& values, const RandomTable<uint8_t>& scales) const {
    return static_cast<float>(std::sqrt(values.mean_square * scales.mean_square) / sigma_);
  }

  Status write_e2m1() {
    const RandomTable<uint8_t> values = e2m1_table(), scales = e4m3_scale_table();
    MKM_RETURN_IF_ERROR(write_flat(names_.values, values, rows_ * columns_ / 2));
    MKM_RETURN_IF_ERROR(write_flat(names_.scales, scales, rows_ * columns_ / kGroup));
    const float whole = divisor(values, scales);
    return write_floats(names_.divisor, {&whole, 1});
  }

  /// {u8 s[4]; u8 q[32]}
  Status write_nvfp4_blocks() {
    const RandomTable<uint8_t> values = e2m1_table(), scales = e4m3_scale_table();
    const RandomWords random(options_.seed, names_.values);
    constexpr uint64_t kWords = 9;
    MKM_RETURN_IF_ERROR(write_items(names_.values, rows_ * columns_ / (4 * kGroup), 4 * kWords,
                                    [&](uint64_t block, std::byte* out) {
                                      look_up(scales, random[block * kWords], out);
                                      for (uint64_t i = 1; i < kWords; ++i) {
                                        look_up(values, random[block * kWords + i], out + 4 * i);
                                      }
                                    }));
    const float whole = 1 / divisor(values, scales);
    return write_floats(names_.scale, {&whole, 1});
  }

  /// {f16 d; i8 q[32]}
  Status write_q8_0_blocks() {
    const RandomTable<uint8_t> values = int8_table(typical_largest(kQ8Group));
    const double unit = std::sqrt(values.mean_square * q8_0_scale_table(1).mean_square);
    const RandomTable<uint16_t> scales = q8_0_scale_table(sigma_ / unit);
    const RandomWords random(options_.seed, names_.values);
    constexpr uint64_t kWords = 9;
    return write_items(names_.values, rows_ * columns_ / kQ8Group, 2 + kQ8Group,
                       [&](uint64_t block, std::byte* out) {
                         const uint16_t scale = scales.entries[random[block * kWords] & 0xffff];
                         std::memcpy(out, &scale, sizeof(scale));
                         for (uint64_t i = 1; i < kWords; ++i) {
                           look_up(values, random[block * kWords + i], out + 4 * i - 2);
                         }
                       });
  }

  const MatrixNames names_;
  const DType type_;
  const uint64_t rows_, columns_;
  const double sigma_;
  const RandomMatrixOptions& options_;
  WeightWriter& writer_;
};

}  // namespace

Status write_random_matrix(const PlannedPart& planned, const RandomMatrixOptions& options,
                           WeightWriter& writer) {
  return Maker(planned, options, writer).write();
}

}  // namespace mokume
