#include "quantize/group_rounding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/float8.h"

namespace mokume {
namespace {

// E4M3 codes around that of max / 6: two below clip the largest element a little, five above take
// it to 4.
constexpr int kCodesBelow = 2, kCodesAbove = 5;
constexpr int kSmallestCode = 1, kLargestCode = 126;

float round_to_e2m1(float magnitude) {
  const float step = magnitude < 2 ? 0.5f : magnitude < 4 ? 1.f : 2.f;
  const float shift = step * 0x1.8p23f;
  return std::min((magnitude + shift) - shift, 6.f);
}

void add_multiple(float multiple, const Lanes& from, Lanes& to) {
  for (int r = 0; r < kGroupRows; ++r) to[r] += multiple * from[r];
}

// With one choice of scales.
void round_with(const GroupLanes& target, const GroupFactor& factor, const Lanes& scales,
                GroupLanes& values, Lanes& cost) {
  GroupLanes wanted;
  Lanes inverse, error;
  std::memcpy(wanted, target, sizeof(wanted));
  for (int r = 0; r < kGroupRows; ++r) {
    inverse[r] = 1 / scales[r];
    cost[r] = 0;
  }
  for (int k = 0; k < kGroupColumns; ++k) {
    const float weight = factor.cost(k);
    for (int r = 0; r < kGroupRows; ++r) {
      const float value =
          std::copysign(round_to_e2m1(std::abs(wanted[k][r]) * inverse[r]), wanted[k][r]) *
          scales[r];
      const float off = wanted[k][r] - value;
      values[k][r] = value;
      error[r] = target[k][r] - value;
      cost[r] += weight * off * off;
    }
    for (int next = k + 1; next < kGroupColumns; ++next)
      add_multiple(factor.row(k)[next], error, wanted[next]);
  }
}

}  // namespace

void times_m(const GroupFactor& factor, GroupLanes& values) {
  for (int k = kGroupColumns - 1; k > 0; --k) {
    for (int j = 0; j < k; ++j) add_multiple(factor.row(j)[k], values[j], values[k]);
  }
}

void divide_by_m(const GroupFactor& factor, GroupLanes& values) {
  for (int k = 1; k < kGroupColumns; ++k) {
    for (int j = 0; j < k; ++j) add_multiple(-factor.row(j)[k], values[j], values[k]);
  }
}

void divide_by_dmt(const GroupFactor& factor, GroupLanes& values) {
  for (int k = kGroupColumns - 1; k >= 0; --k) {  // values * (M^T)^-1
    for (int j = 0; j < k; ++j) add_multiple(-factor.row(j)[k], values[k], values[j]);
  }
  for (int k = 0; k < kGroupColumns; ++k) {
    const float inverse = 1 / factor.cost(k);
    for (int r = 0; r < kGroupRows; ++r) values[k][r] *= inverse;
  }
}

void round_group(const GroupLanes& target, const GroupFactor& factor, RoundedGroup& best) {
  int usual[kGroupRows];
  for (int r = 0; r < kGroupRows; ++r) {
    float largest = 0;
    for (int k = 0; k < kGroupColumns; ++k) largest = std::max(largest, std::abs(target[k][r]));
    usual[r] = float_to_e4m3(largest / 6);
  }
  for (int offset = -kCodesBelow; offset <= kCodesAbove; ++offset) {
    uint8_t codes[kGroupRows];
    Lanes scales, cost;
    GroupLanes values;
    for (int r = 0; r < kGroupRows; ++r) {
      codes[r] = static_cast<uint8_t>(std::clamp(usual[r] + offset, kSmallestCode, kLargestCode));
      scales[r] = e4m3_to_float(codes[r]);
    }
    round_with(target, factor, scales, values, cost);
    for (int r = 0; r < kGroupRows; ++r) {
      if (!(cost[r] < best.cost[r])) continue;
      best.cost[r] = cost[r];
      best.scales[r] = codes[r];
      for (int k = 0; k < kGroupColumns; ++k) best.values[k][r] = values[k][r];
    }
  }
}

}  // namespace mokume
