#include "quantize/hessian.h"

#include <algorithm>

#include "kernels/cpu/products.h"
#include "quantize/tasks.h"

namespace mokume {
namespace {

// sums [.., columns] += the product of two panels' rows.
void add_tile(const Panels& a, int i, const Panels& b, int j, int tokens, size_t columns,
              std::vector<float>& sums) {
  constexpr size_t kSide = Panels::kColumns;
  kernels::add_products(
      {a.panel(i), kSide}, {b.panel(j), kSide}, tokens,
      sums.data() + static_cast<size_t>(i) * kSide * columns + static_cast<size_t>(j) * kSide,
      columns, a.width(i), b.width(j));
}

std::span<const float> rows_from(std::span<const float> rows, int first, int columns) {
  return rows.subspan(static_cast<size_t>(first) * static_cast<size_t>(columns));
}

}  // namespace

Hessian::Hessian(int columns, int threads)
    : columns_(columns),
      threads_(threads),
      sums_(static_cast<size_t>(columns) * static_cast<size_t>(columns)),
      panels_(columns) {}

void Hessian::add(std::span<const float> x, int tokens) {
  const int side = panels_.count();
  for (int first = 0; first < tokens; first += Panels::kRows) {
    const int count = std::min(Panels::kRows, tokens - first);
    panels_.pack(rows_from(x, first, columns_), count, threads_);
    for_each_task(int64_t{side} * side, threads_, [&](int64_t tile) {
      const int i = static_cast<int>(tile / side), j = static_cast<int>(tile % side);
      if (i <= j) add_tile(panels_, i, panels_, j, count, static_cast<size_t>(columns_), sums_);
    });
  }
}

Correlation::Correlation(int rows, int columns, int threads)
    : rows_(rows),
      columns_(columns),
      threads_(threads),
      sums_(static_cast<size_t>((rows + 15) / 16 * 16) * static_cast<size_t>(columns)),
      outputs_(rows),
      inputs_(columns) {}

void Correlation::add(std::span<const float> y, std::span<const float> x, int tokens) {
  for (int first = 0; first < tokens; first += Panels::kRows) {
    const int count = std::min(Panels::kRows, tokens - first);
    outputs_.pack(rows_from(y, first, rows_), count, threads_);
    inputs_.pack(rows_from(x, first, columns_), count, threads_);
    for_each_task(int64_t{outputs_.count()} * inputs_.count(), threads_, [&](int64_t tile) {
      add_tile(outputs_, static_cast<int>(tile / inputs_.count()), inputs_,
               static_cast<int>(tile % inputs_.count()), count, static_cast<size_t>(columns_),
               sums_);
    });
  }
}

}  // namespace mokume
