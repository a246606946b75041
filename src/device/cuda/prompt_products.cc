#include "device/cuda/prompt_products.h"

#include <algorithm>

namespace mokume::cuda {
namespace {

/// Algorithms are chosen for so many tokens, whatever a pass has: another choice may add in another
/// order.
constexpr int kChosenFor = 512;

constexpr ProductType kNvfp4 = ProductType::kNvfp4;

struct Candidate {
  ProductType type;
  bool unpacked;
};

/// What is tried for matrices of a format, the best first.
std::vector<Candidate> candidates(Format format, Activations activations) {
  if (format == Format::kInt8 && activations == Activations::kInt8) {
    return {{ProductType::kInt8, false}, {ProductType::kF16, true}};
  }
  if (format == Format::kF8 && activations == Activations::kF8) {
    return {{ProductType::kF8, false}, {ProductType::kF16, true}};
  }
  if (format == Format::kNvfp4 && activations == Activations::kNvfp4) {
    return {{kNvfp4, true}, {ProductType::kF16, true}};
  }
  switch (format) {
    case Format::kF32:
      return {};  // tensor cores would round them
    case Format::kF16:
      return {{ProductType::kF16, false}};
    case Format::kBF16:
      return {{ProductType::kBF16, false}};
    default:
      return {{ProductType::kF16, true}};
  }
}

/// What rows are written as by the kernel before; kNvfp4 takes a kernel more.
Element element_of(ProductType type) {
  switch (type) {
    case ProductType::kF16:
      return Element::kF16;
    case ProductType::kBF16:
      return Element::kBF16;
    case ProductType::kInt8:
      return Element::kInt8;
    case ProductType::kF8:
      return Element::kF8;
    default:
      return Element::kF32;
  }
}

/// Whether a product's sums are of scaled rows.
bool scaled(ProductType type) { return type != ProductType::kF16 && type != ProductType::kBF16; }

/// That the library has no way is no error.
Result<OwnedProduct> make_product(Gpu& gpu, const ProductShape& shape) {
  const Result<ProductHandle> product = gpu.make_product(shape);
  if (product.ok()) return OwnedProduct(gpu, *product);
  if (absl::IsNotFound(product.status()) || absl::IsUnimplemented(product.status())) {
    return OwnedProduct();
  }
  return product.status();
}

}  // namespace

Status PromptProducts::choose(Gpu& gpu, const StageWeights& weights, int most_tokens,
                              Activations activations) {
  for (size_t layer = 0; layer < weights.layers.size(); ++layer) {
    for (const StageWeights::MatrixCopy& copy : weights.copies[layer].matrices) {
      if (!find(*copy.to)) MKM_RETURN_IF_ERROR(add(gpu, *copy.to, most_tokens, activations));
    }
  }
  return absl::OkStatus();
}

Status PromptProducts::add(Gpu& gpu, const Matrix& matrix, int most_tokens,
                           Activations activations) {
  Way way{matrix.format, matrix.rows, matrix.columns, ProductType::kF16, false, {}};
  for (const Candidate& candidate : candidates(matrix.format, activations)) {
    way.type = candidate.type;
    way.unpacked = candidate.unpacked;
    MKM_ASSIGN_OR_RETURN(
        way.product, make_product(gpu, {way.type, way.rows, way.columns, kChosenFor, most_tokens}));
    if (way.product.get()) break;
  }
  ways_.push_back(std::move(way));
  return absl::OkStatus();
}

void PromptProducts::place(Carver& carver, int most_tokens) {
  uint64_t columns = 0, slab = 0, rows = 0, scales = 0, slab_scales = 0;
  for (const Way& way : ways_) {
    if (!way.product.get()) continue;
    const auto n = static_cast<uint64_t>(way.rows), k = static_cast<uint64_t>(way.columns);
    columns = std::max(columns, k);
    if (way.unpacked) slab = std::max(slab, way.type == kNvfp4 ? n * k / 2 : n * k * 2);
    if (way.type == kNvfp4) {
      scales = std::max(scales, block_scales_bytes(most_tokens, way.columns));
      slab_scales = std::max(slab_scales, block_scales_bytes(way.rows, way.columns));
    }
    if (scaled(way.type)) rows = std::max(rows, n);
  }
  const auto tokens = static_cast<uint64_t>(most_tokens);
  input_ = carver.take<std::byte>(tokens * columns * sizeof(uint16_t));
  input_scales_ = carver.take<float>(tokens);
  input_group_scales_ = carver.take<uint8_t>(scales);
  slab_ = carver.take<std::byte>(slab);
  slab_scales_ = carver.take<uint8_t>(slab_scales);
  sums_ = carver.take<std::byte>(tokens * rows * sizeof(float));
}

const PromptProducts::Way* PromptProducts::find(const Matrix& matrix) const {
  for (const Way& way : ways_) {
    if (way.format == matrix.format && way.rows == matrix.rows && way.columns == matrix.columns) {
      return &way;
    }
  }
  return nullptr;
}

// Those that read the same rows go together.
void PromptProducts::put(Launches& go, std::initializer_list<MatrixProduct> products,
                         const PromptInput& input, bool accumulate) const {
  static const Way kOwn;
  constexpr int kOwnKernel = kProductTypes;
  for (int kind = 0; kind <= kOwnKernel; ++kind) {
    bool written = false;
    for (const MatrixProduct& product : products) {
      const Way* const found = find(*product.matrix);
      const Way& way = found ? *found : kOwn;
      if ((way.product.get() ? static_cast<int>(way.type) : kOwnKernel) != kind) continue;
      if (!written) put_input(go, way, input, product.matrix->columns);
      written = true;
      if (way.product.get()) {
        put_product(go, way, product, input.tokens, accumulate);
        continue;
      }
      GemmArgs args;
      args.matrix = *product.matrix;
      args.x = input.norm ? input.normed : input.x;
      args.out = product.out;
      args.tokens = input.tokens;
      args.accumulate = accumulate;
      go("gemm", go.kernels().gemm, args);
    }
  }
}

// As the library reads it, into input_, otherwise as float32.
void PromptProducts::put_input(Launches& go, const Way& way, const PromptInput& input,
                               int columns) const {
  const bool library = way.product.get() != nullptr;
  const Element element = library ? element_of(way.type) : Element::kF32;
  float* const floats = input.norm ? input.normed : input.x;
  void* const out = element == Element::kF32 ? static_cast<void*>(floats) : input_;
  if (input.gate) {
    SiluMulArgs args;
    args.gate = input.gate;
    args.up = input.up;
    args.out = out;
    args.element = element;
    args.scales = input_scales_;
    args.tokens = input.tokens;
    args.width = columns;
    go("silu_mul", go.kernels().silu_mul, args);
  } else if (input.norm || element != Element::kF32) {
    RmsNormArgs args;
    args.x = input.x;
    if (input.norm) {
      args.weight = input.norm->weight;
      args.epsilon = input.norm->epsilon;
    }
    args.out = out;
    args.element = element;
    args.scales = input_scales_;
    args.tokens = input.tokens;
    args.width = columns;
    go("rms_norm", go.kernels().rms_norm, args);
  }
  if (!library || way.type != kNvfp4) return;
  QuantizeNvfp4Args args;
  args.x = floats;
  args.out = input_;
  args.scales = input_group_scales_;
  args.factors = input_scales_;
  args.tokens = input.tokens;
  args.width = columns;
  go("quantize_nvfp4", go.kernels().quantize_nvfp4, args);
}

// Into slab_. An NVFP4 element times its scale is an F16 without rounding, so the matrix's factor
// is left to the product.
void PromptProducts::put_unpacked(Launches& go, const Way& way, const Matrix& matrix) const {
  if (way.type == kNvfp4) {
    go("pack_nvfp4", go.kernels().pack_nvfp4, PackNvfp4Args{matrix, slab_, slab_scales_});
    return;
  }
  DequantizeArgs args;
  args.matrix = matrix;
  args.matrix.factor = 1;
  args.out = slab_;
  args.element = element_of(way.type);
  go("dequantize", go.kernels().dequantize, args);
}

void PromptProducts::put_product(Launches& go, const Way& way, const MatrixProduct& product,
                                 int tokens, bool accumulate) const {
  const Matrix& matrix = *product.matrix;
  const bool rescaled = scaled(way.type);
  if (way.unpacked) put_unpacked(go, way, matrix);
  ProductArgs args;
  args.matrix = way.unpacked ? slab_ : matrix.data;
  args.matrix_scales = slab_scales_;
  args.x = input_;
  args.x_scales = input_group_scales_;
  args.out = rescaled ? static_cast<void*>(sums_) : product.out;
  args.tokens = tokens;
  args.factor = matrix.factor;
  args.accumulate = accumulate && !rescaled;
  go.multiply(way.product.get(), args);
  if (!rescaled && !matrix.bias) return;
  RescaleArgs rescale;
  rescale.sums = args.out;
  rescale.integers = way.type == ProductType::kInt8;
  if (rescaled) {
    rescale.x_scales = input_scales_;
    if (!way.unpacked) rescale.row_scales = static_cast<const float*>(matrix.scales);
    rescale.accumulate = accumulate;
  }
  rescale.bias = matrix.bias;
  rescale.out = product.out;
  rescale.tokens = tokens;
  rescale.rows = matrix.rows;
  go("rescale", go.kernels().rescale, rescale);
}

}  // namespace mokume::cuda
