#include "device/cpu/product_engines.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <mutex>
#include <tuple>
#include <vector>

#include "base/checked.h"
#include "base/log.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/slices.h"

namespace mokume {
namespace {

using kernels::Format;
constexpr int kTokens = SliceProduct::kTokens;
constexpr int kSliceRows = SliceProduct::kRows;
/// Rows of a measured matrix: enough that an engine's start does not count.
constexpr int kMostRows = 512;
constexpr int kRounds = 7;
/// How long one engine's rounds may take together, in seconds; one round is always run.
constexpr double kMostSeconds = 0.01;
/// Our kernels stay where the library does not gain this much: at less, disturbed measurements
/// would change the choice from start to start, and with it the order of additions.
constexpr double kLeastGain = 1.5;
/// One token's product comes from memory, which both wait for, and not from the cache as measured.
constexpr double kMostLossOfOneToken = 1.5;

class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes) : storage_(bytes + 64) {}
  uint8_t* data() {
    const auto address = static_cast<int64_t>(reinterpret_cast<uintptr_t>(storage_.data()));
    return reinterpret_cast<uint8_t*>(round_up(address, 64));
  }

 private:
  std::vector<uint8_t> storage_;
};

size_t element_bytes(Format format) { return format == Format::kF32 ? 4 : 2; }

/// Floats around 0 as elements of the format.
std::vector<uint8_t> elements(Format format, size_t count, uint32_t seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int32_t>(seed)) * 0x1p-31f;
  }
  std::vector<uint8_t> bytes(count * element_bytes(format));
  if (format == Format::kF32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  } else {
    kernels::to_bfloat16(values.data(), count, reinterpret_cast<uint16_t*>(bytes.data()));
  }
  return bytes;
}

/// That a row's sums are the same bits among 64 rows, among fewer, and alone: what ADR 9 asks for.
bool rows_are_independent(const SliceProduct& product, Format format, int columns) {
  AlignedBytes slice(product.slice_bytes());
  const auto weights = elements(format, static_cast<size_t>(kSliceRows) * columns, 1);
  const auto x = elements(format, static_cast<size_t>(kTokens) * columns, 2);
  if (!product.pack(weights.data(), slice.data()).ok()) return false;
  std::vector<float> together(kTokens * kSliceRows), apart(together.size());
  if (!product.multiply(0, slice.data(), x.data(), kTokens, together.data())) return false;
  for (const int size : {1, 2, 5, 8, 16, 29, 33}) {
    for (int token = 0; token < kTokens; token += size) {
      const uint8_t* row = x.data() + static_cast<size_t>(token) * columns * element_bytes(format);
      float* sums = apart.data() + static_cast<size_t>(token) * kSliceRows;
      if (!product.multiply(0, slice.data(), row, std::min(size, kTokens - token), sums))
        return false;
    }
    if (std::memcmp(together.data(), apart.data(), together.size() * sizeof(float)) != 0)
      return false;
  }
  return true;
}

std::unique_ptr<SliceProduct> make_product(Format format, int columns, int threads) {
  auto product = make_onednn_product(format, columns, threads);
  return product && rows_are_independent(*product, format, columns) ? std::move(product) : nullptr;
}

/// The least time of some rounds of both, run in turn.
template <typename First, typename Second>
std::pair<double, double> least_times(const First& first, const Second& second) {
  using Clock = std::chrono::steady_clock;
  const auto time = [](const auto& run) {
    const auto start = Clock::now();
    run();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  double total = 0, a = std::numeric_limits<double>::max(), b = a;
  for (int round = 0; round < kRounds && total < 2 * kMostSeconds; ++round) {
    const double x = time(first), y = time(second);
    a = std::min(a, x);
    b = std::min(b, y);
    total += x + y;
  }
  return {a, b};
}

kernels::SourceType source_type(Format format) {
  return format == Format::kF32 ? kernels::SourceType::kF32 : kernels::SourceType::kBF16;
}

using Key = std::tuple<kernels::Isa, Format, int, int>;

struct Choices {
  std::mutex mutex;
  std::map<Key, bool> library_wins;
};

Choices& choices() {
  static Choices all;
  return all;
}

int measured_rows(int rows) {
  return std::min(kMostRows, static_cast<int>(round_up(rows, kSliceRows)));
}

const char* name_of(Format format) { return format == Format::kF32 ? "F32" : "BF16"; }

}  // namespace

bool EngineTimes::library_wins() const {
  return library.many_tokens * kLeastGain < kernels.many_tokens &&
         library.one_token < kernels.one_token * kMostLossOfOneToken;
}

std::unique_ptr<EngineTimes> time_engines(const kernels::CpuKernels& kernels, Format format,
                                          int rows, int columns) {
  const auto product = make_product(format, columns, 1);
  if (!product) return nullptr;
  rows = measured_rows(rows);
  const size_t row_bytes = static_cast<size_t>(columns) * element_bytes(format);
  const auto weights = elements(format, static_cast<size_t>(rows) * columns, 1);

  kernels::PackedMatrix packed{format, nullptr, rows, columns};
  AlignedBytes panels(packed.panel_bytes() * static_cast<size_t>(packed.panels()));
  packed.data = panels.data();
  const kernels::SourceMatrix source{source_type(format), weights.data(), row_bytes, nullptr};
  for (int p = 0; p < packed.panels(); ++p)
    kernels::pack_panel(packed, p, source, panels.data() + p * packed.panel_bytes());
  const int slices = rows / kSliceRows;
  AlignedBytes laid_out(product->slice_bytes() * static_cast<size_t>(slices));
  for (int s = 0; s < slices; ++s) {
    const uint8_t* from = weights.data() + s * kSliceRows * row_bytes;
    if (!product->pack(from, laid_out.data() + s * product->slice_bytes()).ok()) return nullptr;
  }

  const auto x = elements(Format::kF32, static_cast<size_t>(kTokens) * columns, 2);
  const auto* floats = reinterpret_cast<const float*>(x.data());
  std::vector<float> out(static_cast<size_t>(kTokens) * rows);
  std::vector<float> sums(static_cast<size_t>(kTokens) * kSliceRows);
  std::vector<uint16_t> rounded(static_cast<size_t>(kTokens) * columns);
  const void* input = format == Format::kF32 ? static_cast<const void*>(floats) : rounded.data();
  const auto time = [&](int tokens) {
    return least_times(
        [&] {
          kernels.matmul_f32(packed, 0, packed.panels(), floats, columns, tokens,
                             {out.data(), static_cast<size_t>(rows), false});
        },
        [&] {
          if (format == Format::kBF16)
            kernels::to_bfloat16(floats, static_cast<size_t>(tokens) * columns, rounded.data());
          for (int s = 0; s < slices; ++s) {
            product->multiply(0, laid_out.data() + s * product->slice_bytes(), input, tokens,
                              sums.data());
            kernels::put_sums(sums.data(), kSliceRows, 1, kSliceRows, tokens,
                              {out.data() + s * kSliceRows, static_cast<size_t>(rows), false});
          }
        });
  };
  auto times = std::make_unique<EngineTimes>();
  times->rows = rows;
  std::tie(times->kernels.many_tokens, times->library.many_tokens) = time(kTokens);
  std::tie(times->kernels.one_token, times->library.one_token) = time(1);
  return times;
}

const SliceProduct* ProductEngines::choose(Format format, int rows, int columns) {
  if (use_ == Use::kExact || use_ == Use::kKernels) return nullptr;
  if (use_ == Use::kLibrary) return make(format, columns);
  Choices& known = choices();
  const std::lock_guard lock(known.mutex);  // measurements of two devices would disturb each other
  const Key key{kernels_.isa, format, measured_rows(rows), columns};
  auto found = known.library_wins.find(key);
  if (found == known.library_wins.end()) {
    const auto times = time_engines(kernels_, format, rows, columns);
    const bool wins = times && times->library_wins();
    if (times) {
      log().debug(
          "[cpu] {} [{}, {}]: {} takes {:.2f} of our kernels' time for {} tokens, {:.2f} for one: "
          "{}",
          name_of(format), rows, columns, slice_product_library(),
          times->library.many_tokens / times->kernels.many_tokens, kTokens,
          times->library.one_token / times->kernels.one_token, wins ? "taken" : "not taken");
    }
    found = known.library_wins.emplace(key, wins).first;
  }
  return found->second ? make(format, columns) : nullptr;
}

const SliceProduct* ProductEngines::make(Format format, int columns) {
  auto found = products_.find({format, columns});
  if (found == products_.end()) {
    found = products_.emplace(std::pair{format, columns}, make_product(format, columns, threads_))
                .first;
  }
  return found->second.get();
}

}  // namespace mokume
