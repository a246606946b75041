// Products that a library computes, on weights in the library's own layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/status.h"
#include "kernels/cpu/packed.h"

namespace mokume {

/// Multiplies a slice, 64 rows of weights, with rows of activations.
class SliceProduct {
 public:
  static constexpr int kRows = 64;    ///< of weights in a slice
  static constexpr int kTokens = 64;  ///< that one call multiplies at most

  virtual ~SliceProduct() = default;

  /// Of a slice in the library's layout; a multiple of 64.
  virtual size_t slice_bytes() const = 0;

  /// `rows` is [kRows][columns] of the format's elements, one behind the other. Any thread may call
  /// it.
  virtual Status pack(const uint8_t* rows, uint8_t* slice) const = 0;

  /// sums[t][r] = sum over k of slice[r][k] * x[t][k] for `tokens` of 1..kTokens; x is
  /// [tokens][columns] of f32 or bf16, as the weights are. Adds in float32. `thread` is the
  /// caller's number among the device's; different ones may call at the same time. False: the
  /// library failed.
  virtual bool multiply(int thread, const uint8_t* slice, const void* x, int tokens,
                        float* sums) const = 0;
};

/// By oneDNN, for `threads` threads. Null where this build has no oneDNN, and where oneDNN cannot
/// multiply this format on this machine. It is asked for F32 and BF16.
std::unique_ptr<SliceProduct> make_onednn_product(kernels::Format format, int columns, int threads);

/// The library and its version, "oneDNN 3.2.0"; null in a build without it.
const char* slice_product_library();

}  // namespace mokume
