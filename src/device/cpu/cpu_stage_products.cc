// Products of a CPU stage: from rows of floats to rows of floats.
//
// In a step of few tokens each thread makes the input for itself, which takes no longer than if one
// made it for all and saves a barrier, and its results are put in place when a piece is done. In a
// step of many tokens threads share the input and write in place.
#include <algorithm>

#include "base/checked.h"
#include "device/cpu/cpu_stage.h"
#include "device/cpu/rows.h"
#include "kernels/cpu/slices.h"

namespace mokume {
namespace {

using kernels::kPanelRows;

constexpr int kSlicePanels = SliceProduct::kRows / kPanelRows;

// Pieces that each thread's share of a product is cut into.
constexpr int kPiecesPerThread = 8;

// The product's panels in whole units.
int panels_of(const Product& product, int unit) {
  return static_cast<int>(round_up(product.linear->matrix.panels(), unit));
}

// Calls use(product, first panel, last, panel of the piece where they begin) for what a piece,
// panels [begin, end) of all the products, takes of each.
template <typename Use>
void for_products(const Products& products, int begin, int end, const Use& use) {
  int first = 0;  // panel of the list where a product's begin
  for (const Product& product : products.products()) {
    const int count = product.linear->matrix.panels();
    const int from = std::clamp(begin - first, 0, count), to = std::clamp(end - first, 0, count);
    if (from < to) use(product, from, to, first + from - begin);
    first += panels_of(product, products.unit);
  }
}

// Rows of the matrix in panels [from, to).
int rows_of(const PackedLinear& linear, int from, int to) {
  return std::min(to * kPanelRows, linear.matrix.rows) - from * kPanelRows;
}

int grain_of(const Products& products, int threads) {
  const int grain = std::clamp(products.panels / (threads * kPiecesPerThread), 1, kMostPanels);
  return static_cast<int>(round_up(grain, products.unit));
}

}  // namespace

// The input of a step of many tokens, which all threads share.
class CpuStage::SharedInputOp final : public Op {
 public:
  SharedInputOp(const CpuStage& stage, const Products& products)
      : stage_(stage), products_(products) {}
  int items() const override {
    return stage_.observing_ ? (stage_.*products_.rows)(products_.layer) : 0;
  }
  int grain() const override { return kRowGrain; }
  void compute(int thread, int begin, int end) const override {
    stage_.fill_input(products_, begin, end, stage_.space_.input, stage_.own(thread).spare);
  }

 private:
  const CpuStage& stage_;
  const Products products_;
};

class CpuStage::ObserveOp final : public Op {
 public:
  ObserveOp(const CpuStage& stage, const Products& products) : stage_(stage), products_(products) {}
  int items() const override { return stage_.observing_ && rows() > 0 ? 1 : 0; }
  void compute(int, int, int) const override {
    std::vector<const Linear*> linears;
    for (const Product& product : products_.products()) linears.push_back(product.linear->source);
    const auto count = static_cast<size_t>(rows());
    const Product& first = products_.list[0];
    LinearInputs inputs{.linears = linears, .tokens = rows()};
    inputs.x = {stage_.space_.input.rows, count * static_cast<size_t>(products_.columns)};
    if (first.add)
      inputs.added_to = {*first.out, count * static_cast<size_t>(first.linear->matrix.rows)};
    stage_.observing_ = stage_.options_.observe(inputs);
  }

 private:
  int rows() const { return (stage_.*products_.rows)(products_.layer); }

  const CpuStage& stage_;
  const Products products_;
};

// Items are panels of all the products.
class CpuStage::ProductsOp final : public Op {
 public:
  ProductsOp(const CpuStage& stage, const Products& products)
      : stage_(stage), products_(products), grain_(grain_of(products, stage.pool_.threads())) {}
  int items() const override { return stage_.observing_ && rows() > 0 ? products_.panels : 0; }
  // Of many tokens the kernels take two panels at a time.
  int grain() const override { return (grain_ + 1) / 2 * 2; }
  void compute(int thread, int begin, int end) const override {
    for_products(products_, begin, end, [&](const Product& product, int from, int to, int) {
      const auto stride = static_cast<size_t>(product.linear->matrix.rows);
      float* out = *product.out + static_cast<size_t>(from) * kPanelRows;
      stage_.run_product(product, thread, from, to, stage_.space_.input, rows(),
                         {out, stride, product.add});
      const float* bias = product.linear->bias;
      if (!bias) return;
      for (int r = 0; r < rows(); ++r)
        add_bias(out + r * stride, bias + from * kPanelRows, rows_of(*product.linear, from, to));
    });
  }

 private:
  int rows() const { return (stage_.*products_.rows)(products_.layer); }

  const CpuStage& stage_;
  const Products products_;
  const int grain_;
};

// The same with input and results in each thread's own memory.
class CpuStage::RepeatableProductsOp final : public Op {
 public:
  RepeatableProductsOp(const CpuStage& stage, const Products& products)
      : stage_(stage), products_(products), grain_(grain_of(products, stage.pool_.threads())) {}
  int items() const override { return rows() > 0 ? products_.panels : 0; }
  int grain() const override { return grain_; }
  bool repeatable() const override { return true; }
  void prepare(int thread) const override {
    const ThreadSpace& own = stage_.own(thread);
    stage_.fill_input(products_, 0, rows(), own.input, own.spare);
  }
  void compute(int thread, int begin, int end) const override {
    const ThreadSpace& own = stage_.own(thread);
    for_products(products_, begin, end, [&](const Product& product, int from, int to, int at) {
      float* out = own.out + static_cast<size_t>(at) * kPanelRows * kFewTokens;
      const auto stride = static_cast<size_t>(to - from) * kPanelRows;
      stage_.run_product(product, thread, from, to, own.input, rows(), {out, stride, false});
    });
  }
  void commit(int thread, int begin, int end) const override {
    const ThreadSpace& own = stage_.own(thread);
    for_products(products_, begin, end, [&](const Product& product, int from, int to, int at) {
      float* result = own.out + static_cast<size_t>(at) * kPanelRows * kFewTokens;
      for (int r = 0; r < rows(); ++r, result += (to - from) * kPanelRows)
        store(product, from * kPanelRows, rows_of(*product.linear, from, to), r, result, own.spare);
    });
  }

 private:
  int rows() const { return (stage_.*products_.rows)(products_.layer); }

  void store(const Product& product, int first, int count, int row, float* result,
             float* spare) const {
    float* target = *product.out + static_cast<size_t>(row) * product.linear->matrix.rows + first;
    if (product.add) {
      copy_shared(target, spare, count);
      for (int i = 0; i < count; ++i) result[i] = spare[i] + result[i];
    }
    if (product.linear->bias) add_bias(result, product.linear->bias + first, count);
    copy_shared(result, target, count);
  }

  const CpuStage& stage_;
  const Products products_;
  const int grain_;
};

void CpuStage::multiply(Program& program, Products products) const {
  products.columns = products.list[0].linear->matrix.columns;
  for (const Product& product : products.products()) {
    if (!product.linear->library) continue;
    products.unit = kSlicePanels;
    if (product.linear->matrix.format == kernels::Format::kBF16) products.rounds = true;
  }
  for (const Product& product : products.products()) {
    products.panels += panels_of(product, products.unit);
    if (kernels::is_wide(product.linear->matrix.format)) products.widens = true;
    if (!takes_int8(*product.linear)) continue;
    products.quantizes = true;
    products.twice = products.twice || product.twice;
  }
  if (program.few) return program.add(RepeatableProductsOp(*this, products));
  program.add(SharedInputOp(*this, products));
  if (options_.observe) program.add(ObserveOp(*this, products));
  program.add(ProductsOp(*this, products));
}

bool CpuStage::takes_int8(const PackedLinear& linear) const {
  const kernels::Format format = linear.matrix.format;
  return !options_.exact && kernels::is_quantized(format) && !kernels::is_wide(format);
}

void CpuStage::fill_input(const Products& products, int begin, int end, const InputRows& input,
                          float* spare) const {
  const int columns = products.columns;
  float* rows = input.rows + static_cast<size_t>(begin) * columns;
  for (int r = begin; r < end; ++r) {
    float* row = rows + static_cast<size_t>(r - begin) * columns;
    (this->*products.fill_row)(products.layer, r, row, spare);
  }
  if (products.rounds) {
    const size_t count = static_cast<size_t>(end - begin) * static_cast<size_t>(columns);
    kernels::to_bfloat16(rows, count, input.bfloat16 + static_cast<size_t>(begin) * columns);
  }
  if (products.widens)
    kernels_.quantize_rows_wide(rows, columns, end - begin, columns, begin, input.wide(columns));
  if (!products.quantizes) return;
  const kernels::QuantizedRows quantized = input.quantized(columns);
  kernels_.quantize_rows(rows, columns, end - begin, columns, begin, quantized);
  if (!products.twice) return;
  kernels_.quantize_residuals(rows, columns, end - begin, columns, begin, quantized,
                              input.residuals(columns));
}

// Panels [panel_begin, panel_end) of one product, their rows first in `out`.
void CpuStage::run_product(const Product& product, int thread, int panel_begin, int panel_end,
                           const InputRows& input, int rows,
                           const kernels::MatmulOutput& out) const {
  if (product.linear->library)
    return run_library(*product.linear, thread, panel_begin, panel_end, input, rows, out);
  const kernels::PackedMatrix w = product.linear->matrix.part(panel_begin, panel_end);
  const kernels::QuantizedRows quantized = input.quantized(w.columns);
  const int panels = w.panels();
  if (kernels::is_wide(w.format)) {
    kernels_.matmul_int16(w, 0, panels, input.wide(w.columns), rows, out);
  } else if (!takes_int8(*product.linear)) {
    kernels_.matmul_f32(w, 0, panels, input.rows, w.columns, rows, out);
  } else if (!product.twice) {
    kernels_.matmul_int8(w, 0, panels, quantized, rows, out);
  } else {
    kernels::MatmulOutput added = out;
    added.accumulate = true;
    for (int begin = 0; begin < panels; begin += 2) {  // while they are in the cache
      const int end = std::min(begin + 2, panels);
      kernels_.matmul_int8(w, begin, end, quantized, rows, out);
      kernels_.matmul_int8(w, begin, end, input.residuals(w.columns), rows, added);
    }
  }
}

// The same by a library, a slice and some rows at a time, so that their sums stay in the cache.
void CpuStage::run_library(const PackedLinear& linear, int thread, int panel_begin, int panel_end,
                           const InputRows& input, int rows,
                           const kernels::MatmulOutput& out) const {
  const kernels::PackedMatrix& w = linear.matrix;
  const bool bf16 = w.format == kernels::Format::kBF16;
  float* sums = own(thread).sums;
  for (int panel = panel_begin; panel < panel_end; panel += kSlicePanels) {
    const int slice_rows = rows_of(linear, panel, std::min(panel + kSlicePanels, panel_end));
    for (int row = 0; row < rows; row += SliceProduct::kTokens) {
      const int count = std::min(SliceProduct::kTokens, rows - row);
      const size_t first = static_cast<size_t>(row) * static_cast<size_t>(w.columns);
      const void* x = bf16 ? static_cast<const void*>(input.bfloat16 + first) : input.rows + first;
      if (!linear.library->multiply(thread, linear.slice(panel / kSlicePanels), x, count, sums))
        library_failed_.store(true, std::memory_order_relaxed);
      kernels::put_sums(sums, SliceProduct::kRows, w.factor, slice_rows, count,
                        {out.data + row * out.stride + (panel - panel_begin) * kPanelRows,
                         out.stride, out.accumulate});
    }
  }
}

}  // namespace mokume
