// Products by oneDNN (3.2 and newer). Each call runs on the thread that makes it: threads are ours
// to deal out. Primitives are made once, for 64, 32, ... 1 rows of activations, since a row's sums
// do not depend on how many are multiplied at once (ProductEngines checks that it is so).
#include <omp.h>

#include <algorithm>
#include <array>
#include <dnnl.hpp>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "device/cpu/slice_product.h"

namespace mokume {
namespace {

using kernels::Format;
using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

constexpr int kSizes[] = {64, 32, 16, 8, 4, 2, 1};
constexpr size_t kSizeCount = std::size(kSizes);
static_assert(kSizes[0] == SliceProduct::kTokens);

/// What oneDNN's OpenMP regions on this thread may use: this thread alone. Its primitives keep the
/// number that was there when they were made.
void use_one_thread() { omp_set_num_threads(1); }

Type type_of(Format format) {
  switch (format) {
    case Format::kF32:
      return Type::f32;
    case Format::kBF16:
      return Type::bf16;
    default:
      return Type::undef;
  }
}

/// oneDNN's own fallback is some hundred times slower than anything else.
bool is_reference(const dnnl::matmul::primitive_desc& description) {
  return std::string_view(description.impl_info_str()).starts_with("ref");
}

/// What a thread executes with: arguments whose memory is set before each call.
struct Lane {
  dnnl::stream stream;
  dnnl::memory weights, scratch;
  std::array<dnnl::memory, kSizeCount> sources, sums;
  std::array<std::array<dnnl_exec_arg_t, 4>, kSizeCount> arguments;
};

class OnednnProduct : public SliceProduct {
 public:
  /// Throws dnnl::error.
  OnednnProduct(Format format, int columns, int threads)
      : engine_(dnnl::engine::kind::cpu, 0), columns_(columns), type_(type_of(format)) {
    use_one_thread();
    std::vector<dnnl::matmul::primitive_desc> descriptions;
    for (const int size : kSizes) {
      descriptions.push_back(describe(size));
      if (is_reference(descriptions.back()))
        throw dnnl::error(dnnl_unimplemented, "no fast product");
      weights_ = descriptions.front().weights_desc();
      primitives_.emplace_back(descriptions.back());
    }
    lanes_.reserve(static_cast<size_t>(threads));
    for (int i = 0; i < threads; ++i) lanes_.push_back(make_lane(descriptions));
  }

  size_t element_bytes() const { return dnnl::memory::data_type_size(type_); }
  size_t slice_bytes() const override {
    return static_cast<size_t>(round_up(static_cast<int64_t>(weights_.get_size()), 64));
  }

  Status pack(const uint8_t* rows, uint8_t* slice) const override {
    use_one_thread();
    try {
      const dnnl::memory from({{columns_, kRows}, type_, Tag::ba}, engine_,
                              const_cast<uint8_t*>(rows));
      const dnnl::memory to(weights_, engine_, slice);
      dnnl::stream stream(engine_);
      dnnl::reorder(from, to).execute(stream, const_cast<dnnl::memory&>(from),
                                      const_cast<dnnl::memory&>(to));
      stream.wait();
    } catch (const std::exception& e) {
      return internal_error("cpu", "oneDNN cannot lay out weights: ", e.what());
    }
    return absl::OkStatus();
  }

  bool multiply(int thread, const uint8_t* slice, const void* x, int tokens,
                float* sums) const override {
    const Lane& lane = lanes_[static_cast<size_t>(thread)];
    dnnl_memory_set_data_handle(lane.weights.get(), const_cast<uint8_t*>(slice));
    const auto* row = static_cast<const uint8_t*>(x);
    for (size_t i = 0; i < kSizeCount; ++i) {
      for (; tokens >= kSizes[i]; tokens -= kSizes[i]) {
        dnnl_memory_set_data_handle(lane.sources[i].get(), const_cast<uint8_t*>(row));
        dnnl_memory_set_data_handle(lane.sums[i].get(), sums);
        const auto& arguments = lane.arguments[i];
        if (dnnl_primitive_execute(primitives_[i].get(), lane.stream.get(),
                                   static_cast<int>(arguments.size()),
                                   arguments.data()) != dnnl_success) {
          return false;
        }
        row += static_cast<size_t>(kSizes[i]) * columns_ * element_bytes();
        sums += static_cast<size_t>(kSizes[i]) * kRows;
      }
    }
    return true;
  }

 private:
  // The first decides how weights lie; the others take them so.
  dnnl::matmul::primitive_desc describe(int tokens) const {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::memory::desc weights =
        primitives_.empty() ? dnnl::memory::desc({columns_, kRows}, type_, Tag::any) : weights_;
    return {engine_, dnnl::memory::desc({tokens, columns_}, type_, Tag::ab), weights,
            dnnl::memory::desc({tokens, kRows}, Type::f32, Tag::ab), attributes};
  }

  Lane make_lane(const std::vector<dnnl::matmul::primitive_desc>& descriptions) const {
    const auto larger = [](const auto& a, const auto& b) {
      return a.scratchpad_desc().get_size() < b.scratchpad_desc().get_size();
    };
    Lane lane;
    lane.stream = dnnl::stream(engine_);
    lane.weights = dnnl::memory(weights_, engine_, nullptr);
    lane.scratch = dnnl::memory(
        std::max_element(descriptions.begin(), descriptions.end(), larger)->scratchpad_desc(),
        engine_);
    for (size_t i = 0; i < kSizeCount; ++i) {
      lane.sources[i] = dnnl::memory(descriptions[i].src_desc(), engine_, nullptr);
      lane.sums[i] = dnnl::memory(descriptions[i].dst_desc(), engine_, nullptr);
      lane.arguments[i] = {{{DNNL_ARG_SRC, lane.sources[i].get()},
                            {DNNL_ARG_WEIGHTS, lane.weights.get()},
                            {DNNL_ARG_DST, lane.sums[i].get()},
                            {DNNL_ARG_SCRATCHPAD, lane.scratch.get()}}};
    }
    return lane;
  }

  dnnl::engine engine_;
  int columns_;
  Type type_;
  dnnl::memory::desc weights_;
  std::vector<dnnl::primitive> primitives_;  // by index of kSizes
  std::vector<Lane> lanes_;
};

}  // namespace

std::unique_ptr<SliceProduct> make_onednn_product(Format format, int columns, int threads) {
  // Other runtimes bring threads of their own, which would fight with ours.
  const auto runtime = dnnl_version()->cpu_runtime;
  const bool ours = runtime == DNNL_RUNTIME_OMP || runtime == DNNL_RUNTIME_SEQ;
  if (!ours || type_of(format) == Type::undef || columns <= 0 || threads <= 0) return nullptr;
  try {
    return std::make_unique<OnednnProduct>(format, columns, threads);
  } catch (const std::exception&) {  // it has no such product on this machine
    return nullptr;
  }
}

const char* slice_product_library() {
  static const std::string name = absl::StrCat("oneDNN ", dnnl_version()->major, ".",
                                               dnnl_version()->minor, ".", dnnl_version()->patch);
  return name.c_str();
}

}  // namespace mokume
