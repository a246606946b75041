// Products of the same rows of floats.
#pragma once

#include <array>
#include <span>

#include "device/cpu/layer_weights.h"

namespace mokume {

class CpuStage;

struct Product {
  const PackedLinear* linear;
  float* const* out;   ///< [rows][outputs of `linear`]
  bool add = false;    ///< to what is there
  bool twice = false;  ///< with activations of twice the bits
};

/// What is multiplied, and by what.
struct Products {
  /// Writes one row of the input to `out`; `spare` is the thread's, as wide as `out`.
  using FillRow = void (CpuStage::*)(int layer, int row, float* out, float* spare) const;
  static constexpr int kMost = 4;

  int layer;
  int (CpuStage::*rows)(int layer) const;
  FillRow fill_row;
  std::array<Product, kMost> list;
  int count;
  int columns = 0, panels = 0;
  /// Panels that stay together: those of a slice where a library multiplies. Each product's panels
  /// count as whole units.
  int unit = 1;
  bool quantizes = false, twice = false, widens = false, rounds = false;

  std::span<const Product> products() const { return {list.data(), static_cast<size_t>(count)}; }
};

}  // namespace mokume
