#include "device/cuda/prompt_products.h"

#include <algorithm>

namespace mokume::cuda {
namespace {

/// Algorithms are chosen for so many tokens, whatever a pass has: another choice may add in another
/// order.
constexpr int kChosenFor = 512;

struct Candidate {
  ProductType type;
  bool unpacked;
};

/// What is tried for matrices of a format, the best first.
std::vector<Candidate> candidates(Format format, bool narrow) {
  if (narrow && format == Format::kInt8) {
    return {{ProductType::kInt8, false}, {ProductType::kF16, true}};
  }
  if (narrow && format == Format::kF8) {
    return {{ProductType::kF8, false}, {ProductType::kF16, true}};
  }
  switch (format) {
    case Format::kF32:
      return {};  // the library would round its inputs
    case Format::kF16:
      return {{ProductType::kF16, false}};
    case Format::kBF16:
      return {{ProductType::kBF16, false}};
    default:
      return {{ProductType::kF16, true}};
  }
}

Element element_of(ProductType type) {
  switch (type) {
    case ProductType::kF16:
      return Element::kF16;
    case ProductType::kBF16:
      return Element::kBF16;
    case ProductType::kInt8:
      return Element::kInt8;
    default:
      return Element::kF8;
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

Status PromptProducts::choose(Gpu& gpu, const StageWeights& weights, int most_tokens, bool narrow) {
  for (size_t layer = 0; layer < weights.layers.size(); ++layer) {
    for (const StageWeights::MatrixCopy& copy : weights.copies[layer].matrices) {
      if (!find(*copy.to)) MKM_RETURN_IF_ERROR(add(gpu, *copy.to, most_tokens, narrow));
    }
  }
  return absl::OkStatus();
}

Status PromptProducts::add(Gpu& gpu, const Matrix& matrix, int most_tokens, bool narrow) {
  Way way{matrix.format, matrix.rows, matrix.columns, ProductType::kF16, false, {}};
  for (const Candidate& candidate : candidates(matrix.format, narrow)) {
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
  uint64_t columns = 0, slab = 0, rows = 0;
  for (const Way& way : ways_) {
    if (!way.product.get()) continue;
    const auto n = static_cast<uint64_t>(way.rows), k = static_cast<uint64_t>(way.columns);
    columns = std::max(columns, k);
    if (way.unpacked) slab = std::max(slab, n * k * element_bytes(element_of(way.type)));
    if (scaled(way.type)) rows = std::max(rows, n);
  }
  const auto tokens = static_cast<uint64_t>(most_tokens);
  input_ = carver.take<std::byte>(tokens * columns * sizeof(uint16_t));
  input_scales_ = carver.take<float>(tokens);
  slab_ = carver.take<std::byte>(slab);
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
  if (input.gate) {
    SiluMulArgs args;
    args.gate = input.gate;
    args.up = input.up;
    args.out = library ? static_cast<void*>(input_) : input.x;
    args.element = element;
    args.scales = input_scales_;
    args.tokens = input.tokens;
    args.width = columns;
    go("silu_mul", go.kernels().silu_mul, args);
  } else if (library || input.norm) {
    RmsNormArgs args;
    args.x = input.x;
    if (input.norm) {
      args.weight = input.norm->weight;
      args.epsilon = input.norm->epsilon;
    }
    args.out = library ? static_cast<void*>(input_) : input.normed;
    args.element = element;
    args.scales = input_scales_;
    args.tokens = input.tokens;
    args.width = columns;
    go("rms_norm", go.kernels().rms_norm, args);
  }
}

void PromptProducts::put_product(Launches& go, const Way& way, const MatrixProduct& product,
                                 int tokens, bool accumulate) const {
  const Matrix& matrix = *product.matrix;
  ProductArgs args;
  args.matrix = matrix.data;
  args.x = input_;
  args.out = scaled(way.type) ? static_cast<void*>(sums_) : product.out;
  args.tokens = tokens;
  args.accumulate = accumulate && !scaled(way.type);
  if (way.unpacked) {
    DequantizeArgs unpack;
    unpack.matrix = matrix;
    unpack.matrix.factor = 1;  // an NVFP4 element times its scale is an f16 without rounding
    unpack.out = slab_;
    unpack.element = element_of(way.type);
    go("dequantize", go.kernels().dequantize, unpack);
    args.matrix = slab_;
    args.factor = matrix.factor;
  }
  go.multiply(way.product.get(), args);
  if (!scaled(way.type) && !matrix.bias) return;
  RescaleArgs rescale;
  rescale.sums = args.out;
  rescale.integers = way.type == ProductType::kInt8;
  if (scaled(way.type)) {
    rescale.x_scales = input_scales_;
    rescale.row_scales = static_cast<const float*>(matrix.scales);
    rescale.accumulate = accumulate;
  }
  rescale.bias = matrix.bias;
  rescale.out = product.out;
  rescale.tokens = tokens;
  rescale.rows = matrix.rows;
  go("rescale", go.kernels().rescale, rescale);
}

}  // namespace mokume::cuda
