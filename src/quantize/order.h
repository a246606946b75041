// Rows and columns that a checkpoint format keeps in another order than the loaded model.
#pragma once

#include <cstdint>
#include <vector>

#include "quantize/family.h"
#include "quantize/part.h"

namespace mokume {

/// Element i of what is written is element order[i] of the model's; empty: as they are.
using Order = std::vector<int64_t>;

struct PartOrder {
  Order rows;     ///< of a matrix and its bias; elements of a vector, rows of the convolution
  Order columns;  ///< of a matrix
};

/// How `part` must be reordered for a format with these conventions.
PartOrder order_for(const Part& part, const Conventions& target);

}  // namespace mokume
