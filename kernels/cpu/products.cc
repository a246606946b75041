#include "kernels/cpu/products.h"

#include "kernels/cpu/clones.h"

namespace mokume::kernels {
namespace {

constexpr int kTileRows = 8, kTileColumns = 16;

[[gnu::always_inline]] inline void add_tile(const float* a, size_t a_stride, const float* b,
                                            size_t b_stride, int depth, float* c, size_t c_stride) {
  float sums[kTileRows][kTileColumns] = {};
  for (int t = 0; t < depth; ++t, a += a_stride, b += b_stride) {
    for (int i = 0; i < kTileRows; ++i) {
      for (int j = 0; j < kTileColumns; ++j) sums[i][j] += a[i] * b[j];
    }
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kTileColumns; ++j) c[i * c_stride + j] += sums[i][j];
  }
}

}  // namespace

// The same additions in the same order on every machine, with as wide vectors as it has.
MOKUME_CLONES
void add_products(const FloatRows& a, const FloatRows& b, int depth, float* c, size_t c_stride,
                  int rows, int columns) {
  for (int i = 0; i < rows; i += kTileRows) {
    for (int j = 0; j < columns; j += kTileColumns) {
      add_tile(a.data + i, a.stride, b.data + j, b.stride, depth, c + i * c_stride + j, c_stride);
    }
  }
}

}  // namespace mokume::kernels
