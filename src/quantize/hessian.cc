#include "quantize/hessian.h"

#include <algorithm>

#include "kernels/cpu/products.h"
#include "quantize/tasks.h"

namespace mokume {
namespace {

constexpr int kPanel = 128;        // columns of a tile
constexpr int kChunkTokens = 256;  // so that two packed panels stay in a core's cache

}  // namespace

Hessian::Hessian(int columns, int threads)
    : columns_(columns),
      threads_(threads),
      sums_(static_cast<size_t>(columns) * static_cast<size_t>(columns)),
      packed_(static_cast<size_t>((columns + kPanel - 1) / kPanel * kPanel) * kChunkTokens) {}

void Hessian::add(std::span<const float> x, int tokens) {
  for (int first = 0; first < tokens; first += kChunkTokens) {
    add_chunk(x.data() + static_cast<size_t>(first) * static_cast<size_t>(columns_),
              std::min(kChunkTokens, tokens - first));
  }
}

void Hessian::add_chunk(const float* x, int tokens) {
  const int panels = (columns_ + kPanel - 1) / kPanel;
  const auto columns = static_cast<size_t>(columns_);
  const auto width = [&](int64_t panel) {
    return std::min<int>(kPanel, columns_ - static_cast<int>(panel) * kPanel);
  };
  const auto packed = [&](int64_t panel) { return packed_.data() + panel * kPanel * kChunkTokens; };
  for_each_task(panels, threads_, [&](int64_t panel) {
    for (int t = 0; t < tokens; ++t) {
      std::copy_n(x + static_cast<size_t>(t) * columns + panel * kPanel, width(panel),
                  packed(panel) + t * kPanel);
    }
  });
  for_each_task(int64_t{panels} * panels, threads_, [&](int64_t tile) {
    const int64_t i = tile / panels, j = tile % panels;
    if (i > j) return;
    kernels::add_products({packed(i), kPanel}, {packed(j), kPanel}, tokens,
                          sums_.data() + static_cast<size_t>(i) * kPanel * columns + j * kPanel,
                          columns, width(i), width(j));
  });
}

}  // namespace mokume
