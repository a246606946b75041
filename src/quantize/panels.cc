#include "quantize/panels.h"

#include <algorithm>

#include "quantize/tasks.h"

namespace mokume {

Panels::Panels(int columns)
    : columns_(columns), packed_(static_cast<size_t>(count()) * kColumns * kRows) {}

int Panels::width(int i) const {
  return std::min(kColumns, (columns_ - i * kColumns + 15) / 16 * 16);
}

void Panels::pack(std::span<const float> rows, int tokens, int threads) {
  for_each_task(count(), threads, [&](int64_t panel) {
    const int first = static_cast<int>(panel) * kColumns;
    const int columns = std::min(kColumns, columns_ - first);
    for (int t = 0; t < tokens; ++t) {
      std::copy_n(rows.data() + static_cast<size_t>(t) * static_cast<size_t>(columns_) + first,
                  columns, packed_.data() + panel * kColumns * kRows + t * kColumns);
    }
  });
}

}  // namespace mokume
