// Sixteen columns that share a scale, of 64 rows side by side: which scale, and which values.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mokume {

inline constexpr int kGroupRows = 64;     // one a lane
inline constexpr int kGroupColumns = 16;  // that share a scale

using Lanes = float[kGroupRows];
using GroupLanes = Lanes[kGroupColumns];

/// F = M D M^T of a group, M unit upper triangular and D diagonal: row i at values + i * stride,
/// M above the diagonal and D on it. What is below the diagonal means nothing.
struct GroupFactor {
  const float* values = nullptr;
  size_t stride = 0;

  const float* row(int i) const { return values + static_cast<size_t>(i) * stride; }
  float cost(int i) const { return row(i)[i]; }
};

/// values -> values * M, and back.
void times_m(const GroupFactor& factor, GroupLanes& values);
void divide_by_m(const GroupFactor& factor, GroupLanes& values);
/// values -> values * (D M^T)^-1. With divide_by_m after it: values * F^-1.
void divide_by_dmt(const GroupFactor& factor, GroupLanes& values);

struct RoundedGroup {
  GroupLanes values;           ///< E2M1, times the scale
  uint8_t scales[kGroupRows];  ///< E4M3
  Lanes cost;                  ///< (target - values) F (target - values)^T
};

/// Rounds the columns one after another, errors fed forward, with each of the scales near max / 6
/// and max / 4 of the target; where one makes the cost less than `best` has it, `best` takes it.
void round_group(const GroupLanes& target, const GroupFactor& factor, RoundedGroup& best);

}  // namespace mokume
