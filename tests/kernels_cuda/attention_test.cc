// rope_append, attention_decode and attention_prefill against double precision.
#include <gtest/gtest.h>

#include "tests/kernels_cuda/step.h"

namespace mokume::cuda {
namespace {

constexpr Element kElements[] = {Element::kF32, Element::kF16, Element::kBF16, Element::kInt8,
                                 Element::kF8};

/// Each case in one of the orders, so that every order sees every shape and every type.
simt::Order order_of(size_t shape, Element element) {
  return orders()[(shape + static_cast<size_t>(element)) % orders().size()];
}

struct Shape {
  int heads, kv_heads, head_dim, rope_dims, page_tokens;
  bool interleaved, gate, norms;
};
const Shape kShapes[] = {{3, 3, 16, 16, 16, false, false, false},
                         {6, 2, 64, 64, 16, true, false, false},
                         {8, 1, 80, 20, 48, false, false, true},
                         {4, 2, 128, 128, 32, false, false, true},
                         {4, 1, 256, 64, 16, false, true, true}};

// Of a cache's rounding, relative to the largest of a row.
double rounding(Element element) {
  switch (element) {
    case Element::kF32:
      return 1e-6;
    case Element::kF16:
      return 0x1p-11;
    case Element::kBF16:
      return 0x1p-8;
    case Element::kInt8:
      return 0.51 / 127;
    default:
      return 0x1p-4;
  }
}

std::vector<double> rotated_head(const RopeAppendArgs& args, const std::vector<float>& frequencies,
                                 const float* head, const float* norm, float epsilon,
                                 int position) {
  const int dim = args.kv.head_dim, half = args.rope_dims / 2;
  double squares = 0;
  for (int d = 0; d < dim; ++d) squares += double{head[d]} * head[d];
  std::vector<double> x(dim), out;
  for (int d = 0; d < dim; ++d) {
    x[d] = norm ? head[d] / std::sqrt(squares / dim + epsilon) * norm[d] : head[d];
  }
  out = x;
  for (int i = 0; i < half; ++i) {
    const int a = args.interleaved ? 2 * i : i, b = args.interleaved ? 2 * i + 1 : i + half;
    const double angle = static_cast<float>(position) * frequencies[i];
    const double c = std::cos(angle) * args.magnitude, s = std::sin(angle) * args.magnitude;
    out[a] = x[a] * c - x[b] * s;
    out[b] = x[b] * c + x[a] * s;
  }
  return out;
}

TEST(RopeAppend, NormsTurnsAndStoresHeads) {
  const MadeStep step({{0, 3}, {77, 2}}, 16, 3, 1);
  for (const Shape& shape : kShapes) {
    for (const Element element : kElements) {
      for (const simt::Order order : orders()) {
        SCOPED_TRACE(testing::Message()
                     << "head of " << shape.head_dim << " element " << static_cast<int>(element));
        TestGpu gpu(order);
        MadeCache cache(gpu, step, element, shape.kv_heads, shape.head_dim);
        const auto row = static_cast<size_t>(shape.head_dim);
        const size_t tokens = step.tokens(), width = shape.heads * row;
        const auto q = random_floats(tokens * width * (shape.gate ? 2 : 1), 1);
        const auto k = random_floats(tokens * shape.kv_heads * row, 2),
                   v = random_floats(tokens * shape.kv_heads * row, 3);
        std::vector<float> frequencies;
        for (int i = 0; i < shape.rope_dims / 2; ++i)
          frequencies.push_back(std::pow(1e4f, -2.0f * i / shape.rope_dims));
        RopeAppendArgs args;
        args.q = gpu.put(q);
        args.k = gpu.put(k);
        args.v = gpu.put(v);
        args.q_out = shape.gate ? gpu.empty<float>(tokens * width) : args.q;
        if (shape.gate) args.gate = gpu.empty<float>(tokens * width);
        const auto q_norm = random_floats(row, 4), k_norm = random_floats(row, 5);
        if (shape.norms) args.q_norm = gpu.put(q_norm), args.k_norm = gpu.put(k_norm);
        args.q_epsilon = args.k_epsilon = 1e-3f;
        args.inverse_frequencies = gpu.put(frequencies);
        args.magnitude = 1.25f;
        args.rope_dims = shape.rope_dims;
        args.interleaved = shape.interleaved;
        args.heads = shape.heads;
        args.kv = cache.kv;
        args.step = step.on(gpu);
        gpu.run(gpu.kernels().rope_append, args);

        const auto out = gpu.get(args.q_out, tokens * width);
        std::vector<float> gate;
        if (shape.gate) gate = gpu.get(args.gate, tokens * width);
        const float* const q_weight = shape.norms ? q_norm.data() : nullptr;
        const float* const k_weight = shape.norms ? k_norm.data() : nullptr;
        for (size_t t = 0; t < tokens; ++t) {
          const int position = std::max(step.positions[t], 0);
          for (int h = 0; h < shape.heads; ++h) {
            const size_t at = t * width + h * row;
            const float* head = &q[at * (shape.gate ? 2 : 1)];
            const auto expected = rotated_head(args, frequencies, head, q_weight, 1e-3f, position);
            for (size_t d = 0; d < row; ++d) {
              ASSERT_NEAR(out[at + d], expected[d], 2e-5) << t << ' ' << h << ' ' << d;
              if (shape.gate) {
                ASSERT_EQ(gate[at + d], head[row + d]);
              }
            }
          }
          if (step.positions[t] < 0) continue;
          for (int h = 0; h < shape.kv_heads; ++h) {
            const size_t at = (t * shape.kv_heads + h) * row;
            const auto expected =
                rotated_head(args, frequencies, &k[at], k_weight, 1e-3f, position);
            const size_t place = step.place(step.sequences[t], position, shape.kv_heads, h);
            double most_k = 0, most_v = 0;
            for (size_t d = 0; d < row; ++d) {
              most_k = std::max(most_k, std::abs(expected[d]));
              most_v = std::max(most_v, std::abs(double{v[at + d]}));
            }
            for (size_t d = 0; d < row; ++d) {
              ASSERT_NEAR(cache.value(true, place, d), expected[d],
                          (rounding(element) + 1e-5) * most_k);
              ASSERT_NEAR(cache.value(false, place, d), v[at + d],
                          (rounding(element) + 1e-6) * most_v);
            }
          }
        }
      }
    }
  }
}

// Fills the cache with what the sequences' positions before and in the step hold.
MadeCache filled_cache(TestGpu& gpu, const MadeStep& step, Element element, const Shape& shape) {
  std::vector<MadeSequence> all;
  for (const MadeSequence& s : step.made) all.push_back({0, s.first_position + s.tokens});
  MadeStep whole(all, step.page_tokens, 1);
  whole.page_table = step.page_table;
  whole.page_stride = step.page_stride;
  MadeCache cache(gpu, step, element, shape.kv_heads, shape.head_dim);
  const size_t count = static_cast<size_t>(whole.tokens()) * shape.kv_heads * shape.head_dim;
  RopeAppendArgs args;
  args.q = gpu.put(std::vector<float>(static_cast<size_t>(whole.tokens()) * shape.head_dim));
  args.q_out = args.q;
  args.heads = 1;
  args.k = gpu.put(random_floats(count, 21));
  args.v = gpu.put(random_floats(count, 22));
  args.kv = cache.kv;
  args.step = whole.on(gpu);
  gpu.run(gpu.kernels().rope_append, args);
  return cache;
}

std::vector<double> expected_attention(TestGpu& gpu, const AttentionArgs& args,
                                       const MadeStep& step, const MadeCache& cache,
                                       const Shape& shape) {
  const int dim = shape.head_dim;
  const size_t count = static_cast<size_t>(step.tokens()) * shape.heads * dim;
  const std::vector<float> q = gpu.get(args.q, count);
  std::vector<float> gate;
  if (args.gate) gate = gpu.get(args.gate, count);
  std::vector<double> out(static_cast<size_t>(step.tokens()) * shape.heads * dim);
  for (int t = 0; t < step.tokens(); ++t) {
    const int position = step.positions[t], sequence = step.sequences[t];
    for (int h = 0; h < shape.heads && position >= 0; ++h) {
      const int kv_head = h / (shape.heads / shape.kv_heads);
      const size_t at = (static_cast<size_t>(t) * shape.heads + h) * dim;
      std::vector<double> p(position + 1);
      double peak = -INFINITY, total = 0;
      for (int i = 0; i <= position; ++i) {
        const size_t row = step.place(sequence, i, shape.kv_heads, kv_head);
        for (int d = 0; d < dim; ++d) p[i] += q[at + d] * cache.value(true, row, d);
        p[i] *= args.scale;
        peak = std::max(peak, p[i]);
      }
      for (double& x : p) total += x = std::exp(x - peak);
      for (int i = 0; i <= position; ++i) {
        const size_t row = step.place(sequence, i, shape.kv_heads, kv_head);
        for (int d = 0; d < dim; ++d) out[at + d] += p[i] / total * cache.value(false, row, d);
      }
      for (int d = 0; d < dim && !gate.empty(); ++d) out[at + d] /= 1 + std::exp(-gate[at + d]);
    }
  }
  return out;
}

AttentionArgs attention_args(TestGpu& gpu, const MadeStep& step, const MadeCache& cache,
                             const Shape& shape) {
  const size_t count = static_cast<size_t>(step.tokens()) * shape.heads * shape.head_dim;
  AttentionArgs args;
  args.q = gpu.put(random_floats(count, 31));
  if (shape.gate) args.gate = gpu.put(random_floats(count, 32));
  args.out = gpu.empty<float>(count);
  args.heads = shape.heads;
  args.scale = 1 / std::sqrt(static_cast<float>(shape.head_dim));
  args.kv = cache.kv;
  args.step = step.on(gpu);
  args.max_positions = step.longest() + 3;
  args.scratch = gpu.empty<float>(
      attention_scratch_floats(step.tokens(), shape.heads, shape.head_dim, args.max_positions));
  return args;
}

std::vector<float> attend(TestGpu& gpu, int (*op)(const AttentionArgs&, Stream),
                          const AttentionArgs& args, const Shape& shape, const MadeStep& step) {
  gpu.run(op, args);
  return gpu.get(args.out, static_cast<size_t>(step.tokens()) * shape.heads * shape.head_dim);
}

TEST(AttentionDecode, IsSoftmaxOverThePages) {
  for (const MadeStep& step : {MadeStep({{0, 1}, {40, 1}, {255, 1}}, 16, 5, 2),
                               MadeStep({{256, 1}, {0, 1}, {530, 1}}, 48, 6, 1)}) {
    for (size_t i = 0; i < std::size(kShapes); ++i) {
      Shape shape = kShapes[i];
      shape.page_tokens = step.page_tokens;
      for (const Element element : kElements) {
        SCOPED_TRACE(testing::Message()
                     << "head of " << shape.head_dim << " element " << static_cast<int>(element));
        TestGpu gpu(order_of(i, element));
        const MadeCache cache = filled_cache(gpu, step, element, shape);
        const AttentionArgs args = attention_args(gpu, step, cache, shape);
        const auto out = attend(gpu, gpu.kernels().attention_decode, args, shape, step);
        EXPECT_LT(relative_error(out, expected_attention(gpu, args, step, cache, shape)), 2e-5);
      }
    }
  }
}

TEST(AttentionPrefill, IsSoftmaxOverThePages) {
  const MadeStep step({{0, 1}, {0, 37}, {90, 20}, {3, 2}}, 16, 7);
  for (size_t i = 0; i < std::size(kShapes); ++i) {
    Shape shape = kShapes[i];
    shape.page_tokens = step.page_tokens;
    for (const Element element : kElements) {
      SCOPED_TRACE(testing::Message()
                   << "head of " << shape.head_dim << " element " << static_cast<int>(element));
      TestGpu gpu(order_of(i, element));
      const MadeCache cache = filled_cache(gpu, step, element, shape);
      const AttentionArgs args = attention_args(gpu, step, cache, shape);
      const auto out = attend(gpu, gpu.kernels().attention_prefill, args, shape, step);
      // Queries and probabilities are rounded to what the tensor cores take.
      const double bound = element == Element::kF32    ? 2e-5
                           : element == Element::kBF16 ? 0.06
                                                       : 0.008;
      EXPECT_LT(relative_error(out, expected_attention(gpu, args, step, cache, shape)), bound);
    }
  }
}

TEST(AttentionPrefill, GivesARowTheSameBitsHoweverItsPromptIsCut) {
  const Shape shape = {6, 2, 64, 64, 16, false, false, false};
  for (const Element element : {Element::kF32, Element::kF16}) {
    std::vector<std::vector<float>> runs;
    for (const int first : {0, 5, 33}) {
      TestGpu gpu;
      const MadeStep step({{first, 70 - first}}, 16, 9);
      const MadeCache cache = filled_cache(gpu, step, element, shape);
      AttentionArgs args = attention_args(gpu, step, cache, shape);
      auto q = random_floats(70 * 6 * 64, 31);
      q.erase(q.begin(), q.begin() + static_cast<ptrdiff_t>(first) * 6 * 64);
      args.q = gpu.put(q);
      auto out = attend(gpu, gpu.kernels().attention_prefill, args, shape, step);
      runs.emplace_back(out.end() - 6 * 64 * 30, out.end());
    }
    EXPECT_EQ(runs[0], runs[1]);
    EXPECT_EQ(runs[0], runs[2]);
  }
}

// One layer of Qwen3.5-9B.
TEST(AttentionDecode, MovesWhatItMust) {
  if (on_gpu()) GTEST_SKIP() << "the executor counts";
  const Shape shape = {16, 4, 256, 64, 16, false, true, true};
  for (const Element element : {Element::kF16, Element::kInt8}) {
    TestGpu gpu;
    const MadeStep step({{1023, 1}}, 16, 5);
    const MadeCache cache = filled_cache(gpu, step, element, shape);
    const AttentionArgs args = attention_args(gpu, step, cache, shape);
    gpu.reset_counters();
    gpu.run(gpu.kernels().attention_decode, args);
    const simt::Counters c = gpu.counted();
    const double row =
        256.0 * static_cast<double>(element_bytes(element)) + (element_bytes(element) == 1 ? 4 : 0);
    EXPECT_LE(c.read_bytes, 1.05 * (2 * 4 * 1024 * row + 2 * 16 * 256 * 4));
    EXPECT_GE(c.sector_efficiency(), 0.95);
    EXPECT_LE(c.bank_ways(), 1.1);
  }
}

}  // namespace
}  // namespace mokume::cuda
