#include "quantize/calibrated_nvfp4.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/products.h"
#include "quantize/parallel.h"
#include "tensor/float8.h"
#include "weights/encode.h"

namespace mokume {
namespace {

constexpr int kLanes = 64;   // rows that are worked on side by side, one a lane
constexpr int kGroup = 16;   // columns that share a scale
constexpr int kBlock = 128;  // columns that take over the errors before them at a time
// E4M3 codes around that of max / 6: two below clip the largest element a little, five above take
// it to 4.
constexpr int kCodesBelow = 2, kCodesAbove = 5;

using Lanes = float[kLanes];

// A group's 16 columns with one choice of scales.
struct Rounded {
  Lanes values[kGroup];  // E2M1, in units of the scale
  Lanes errors[kGroup];  // weight - value * scale
  Lanes cost;
};

float round_to_e2m1(float magnitude) {
  const float step = magnitude < 2 ? 0.5f : magnitude < 4 ? 1.f : 2.f;
  const float shift = step * 0x1.8p23f;
  return std::min((magnitude + shift) - shift, 6.f);
}

// Rounds the columns [first, first + 16) of all lanes. `targets`: the weights with the errors of
// all columns before the group fed forward.
void round_group(const Lanes* weights, const Lanes* targets, const Feedback& feedback, int first,
                 const Lanes& scales, Rounded& out) {
  Lanes target[kGroup], factor;
  std::copy_n(&targets[0][0], kGroup * kLanes, &target[0][0]);
  for (int r = 0; r < kLanes; ++r) factor[r] = 1 / scales[r];
  std::fill_n(out.cost, kLanes, 0.f);
  for (int k = 0; k < kGroup; ++k) {
    const float cost = feedback.cost(first + k);
    for (int r = 0; r < kLanes; ++r) {
      const float value =
          std::copysign(round_to_e2m1(std::abs(target[k][r]) * factor[r]), target[k][r]);
      const float error = target[k][r] - value * scales[r];
      out.values[k][r] = value;
      out.errors[k][r] = weights[k][r] - value * scales[r];
      out.cost[r] += cost * error * error;
    }
    const float* multiples = feedback.row(first + k) + first;
    for (int next = k + 1; next < kGroup; ++next) {
      for (int r = 0; r < kLanes; ++r) target[next][r] += multiples[next] * out.errors[k][r];
    }
  }
}

// Rows [first_row, first_row + 64), in units of 1 / divisor; column-major.
class RowBlock {
 public:
  RowBlock(const Feedback& feedback, EncodedMatrix& matrix, int64_t first_row, int count)
      : feedback_(feedback),
        matrix_(matrix),
        first_row_(first_row),
        count_(count),
        columns_(feedback.columns()),
        weights_(static_cast<size_t>(columns_) * kLanes),
        targets_(size_t{kBlock} * kLanes) {}

  Status run(const ReadRow& read, std::span<float> row) {
    for (int r = 0; r < count_; ++r) {
      MKM_RETURN_IF_ERROR(read(first_row_ + r, row));
      for (int k = 0; k < columns_; ++k)
        weights(k)[0][r] = row[static_cast<size_t>(k)] * matrix_.divisor;
    }
    for (int first = 0; first < columns_; first += kBlock)
      round_block(first, std::min(columns_, first + kBlock));
    return absl::OkStatus();
  }

 private:
  Lanes* weights(int column) {
    return reinterpret_cast<Lanes*>(weights_.data() + static_cast<size_t>(column) * kLanes);
  }

  void feed_forward(int from, int to, int first, int last, int block) {
    kernels::add_products({feedback_.row(from) + first, static_cast<size_t>(columns_)},
                          {&weights(from)[0][0], kLanes}, to - from,
                          targets_.data() + (first - block) * kLanes, kLanes, last - first, kLanes);
  }

  // Weights before `first` have become errors.
  void round_block(int first, int last) {
    std::copy_n(&weights(first)[0][0], (last - first) * kLanes, targets_.data());
    feed_forward(0, first, first, last, first);
    for (int group = first; group < last; group += kGroup) {
      round_group_best(group,
                       reinterpret_cast<const Lanes*>(targets_.data() + (group - first) * kLanes));
      if (group + kGroup < last) feed_forward(group, group + kGroup, group + kGroup, last, first);
    }
  }

  void round_group_best(int group, const Lanes* targets) {
    uint8_t usual[kLanes], best[kLanes];
    Lanes least, scales;
    for (int r = 0; r < kLanes; ++r) {
      float largest = 0;
      for (int k = 0; k < kGroup; ++k) largest = std::max(largest, std::abs(targets[k][r]));
      usual[r] = float_to_e4m3(largest / 6);
      least[r] = INFINITY;
      best[r] = 1;
    }
    Rounded rounded;
    for (int offset = -kCodesBelow; offset <= kCodesAbove; ++offset) {
      uint8_t codes[kLanes];
      for (int r = 0; r < kLanes; ++r) {
        codes[r] = static_cast<uint8_t>(std::clamp(usual[r] + offset, 1, 126));
        scales[r] = e4m3_to_float(codes[r]);
      }
      round_group(weights(group), targets, feedback_, group, scales, rounded);
      for (int r = 0; r < kLanes; ++r) {
        if (rounded.cost[r] < least[r]) {
          least[r] = rounded.cost[r];
          best[r] = codes[r];
        }
      }
    }
    for (int r = 0; r < kLanes; ++r) scales[r] = e4m3_to_float(best[r]);
    round_group(weights(group), targets, feedback_, group, scales, rounded);
    std::copy_n(&rounded.errors[0][0], kGroup * kLanes, &weights(group)[0][0]);
    store(group, rounded, best);
  }

  void store(int group, const Rounded& rounded, const uint8_t* scales) {
    for (int r = 0; r < count_; ++r) {
      const size_t at = (static_cast<size_t>(first_row_ + r) * columns_ + group);
      matrix_.scales[at / kGroup] = std::byte{scales[r]};
      for (int k = 0; k < kGroup; k += 2) {
        matrix_.values[(at + k) / 2] = static_cast<std::byte>(
            float_to_e2m1(rounded.values[k][r]) | float_to_e2m1(rounded.values[k + 1][r]) << 4);
      }
    }
  }

  const Feedback& feedback_;
  EncodedMatrix& matrix_;
  const int64_t first_row_;
  const int count_, columns_;
  std::vector<float> weights_, targets_;
};

Result<float> largest_magnitude(int64_t rows, int columns, const ReadRow& read) {
  float largest = 0;
  std::vector<float> row(static_cast<size_t>(columns));
  for (int64_t i = 0; i < rows; ++i) {
    MKM_RETURN_IF_ERROR(read(i, row));
    for (const float x : row) largest = std::max(largest, std::abs(x));
  }
  return largest;
}

}  // namespace

Result<EncodedMatrix> calibrated_nvfp4(int64_t rows, const ReadRow& read, const Feedback& feedback,
                                       int threads) {
  EncodedMatrix matrix;
  MKM_ASSIGN_OR_RETURN(const float largest, largest_magnitude(rows, feedback.columns(), read));
  matrix.divisor = nvfp4_divisor(largest);
  const auto elements = static_cast<size_t>(rows) * static_cast<size_t>(feedback.columns());
  matrix.values.resize(elements / 2);
  matrix.scales.resize(elements / kGroup);
  const auto round = [&](int64_t block, std::span<float> row) {
    const int64_t first = block * kLanes;
    const auto count = static_cast<int>(std::min<int64_t>(kLanes, rows - first));
    return RowBlock(feedback, matrix, first, count).run(read, row);
  };
  MKM_RETURN_IF_ERROR(
      for_each_row((rows + kLanes - 1) / kLanes, feedback.columns(), threads, round));
  return matrix;
}

}  // namespace mokume
