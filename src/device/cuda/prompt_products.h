// How a prompt's tokens are multiplied with a stage's matrices: by the library where it has a way,
// otherwise by our own kernel. Which it is is settled when the stage is loaded and does not depend
// on how many tokens there are.
#pragma once

#include <initializer_list>
#include <vector>

#include "device/cuda/blocks.h"
#include "device/cuda/launches.h"
#include "device/cuda/weights.h"

namespace mokume::cuda {

/// One product of several that have the same input.
struct MatrixProduct {
  const Matrix* matrix;
  float* out;  ///< [tokens][matrix->rows]
};

/// What is multiplied: x, RMSNorm(x) or silu(gate) * up.
struct PromptInput {
  float* x = nullptr;  ///< [tokens][K]; with a gate and up there is nothing in it yet, nor need be
  const NormWeights* norm = nullptr;  ///< of x, or null
  float* normed = nullptr;            ///< [tokens][K] to work in, with a norm
  const float* gate = nullptr;        ///< [tokens][K], or null
  const float* up = nullptr;
  int tokens = 0;
};

class PromptProducts {
 public:
  /// Ways for all matrices of the layers, for up to `most_tokens` at once. Pointers of `weights`
  /// are not looked at. Inputs are rounded to `activations` where matrices are of that
  /// type and the library multiplies in it. Errors: the device's.
  Status choose(Gpu& gpu, const StageWeights& weights, int most_tokens, Activations activations);
  /// What it works in, `most_tokens` being choose()'s.
  void place(Carver& carver, int most_tokens);

  /// out = product, or out += product.
  void put(Launches& go, std::initializer_list<MatrixProduct> products, const PromptInput& input,
           bool accumulate) const;

 private:
  /// For all matrices of a format and a size.
  struct Way {
    Format format = Format::kF32;
    int rows = 0, columns = 0;
    ProductType type = ProductType::kF16;
    bool unpacked = false;  ///< the matrix is written as `type` into slab_ first
    OwnedProduct product;   ///< none: by our own kernel
  };

  Status add(Gpu& gpu, const Matrix& matrix, int most_tokens, Activations activations);
  const Way* find(const Matrix& matrix) const;
  void put_input(Launches& go, const Way& way, const PromptInput& input, int columns) const;
  void put_unpacked(Launches& go, const Way& way, const Matrix& matrix) const;
  void put_product(Launches& go, const Way& way, const MatrixProduct& product, int tokens,
                   bool accumulate) const;

  std::vector<Way> ways_;
  // In the device's memory.
  std::byte* input_ = nullptr;             // the widest rows, of two bytes an element
  float* input_scales_ = nullptr;          // a token's
  uint8_t* input_group_scales_ = nullptr;  // of kNvfp4
  std::byte* slab_ = nullptr;              // the largest matrix that is unpacked
  uint8_t* slab_scales_ = nullptr;         // of kNvfp4
  std::byte* sums_ = nullptr;              // the widest outputs that are scaled afterwards
};

}  // namespace mokume::cuda
