// Which engine multiplies a weight matrix: our kernels or a library, by what they measure here.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "device/cpu/slice_product.h"
#include "kernels/cpu/kernels.h"

namespace mokume {

/// How fast an engine multiplied one thread's share from the cache, in seconds.
struct ProductTimes {
  double one_token = 0;
  double many_tokens = 0;  ///< SliceProduct::kTokens of them
};

struct EngineTimes {
  int rows = 0;  ///< that were multiplied
  ProductTimes kernels, library;
  bool library_wins() const;
};

/// Times one thread on a matrix of `rows` x `columns` of random weights, up to some hundred rows.
/// Null where the library has no such product.
std::unique_ptr<EngineTimes> time_engines(const kernels::CpuKernels& kernels,
                                          kernels::Format format, int rows, int columns);

/// A device's choices. The first one of a format and shape is measured; the process remembers it.
class ProductEngines {
 public:
  enum class Use { kExact, kKernels, kLibrary, kFaster };

  /// kExact is our kernels with float activations; kLibrary takes the library wherever it can
  /// multiply.
  ProductEngines(const kernels::CpuKernels& kernels, int threads, Use use)
      : kernels_(kernels), threads_(threads), use_(use) {}

  bool exact() const { return use_ == Use::kExact; }

  /// The library's product; null: ours. Not thread-safe. Lives as long as this.
  const SliceProduct* choose(kernels::Format format, int rows, int columns);

 private:
  const SliceProduct* make(kernels::Format format, int columns);

  const kernels::CpuKernels& kernels_;
  const int threads_;
  const Use use_;
  std::map<std::pair<kernels::Format, int>, std::unique_ptr<SliceProduct>> products_;
};

}  // namespace mokume
