// Sampling on the device against a plain sort.
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "tests/kernels_cuda/harness.h"

namespace mokume::cuda {
namespace {

// What the engine's sampler does: top_k, min_p, top_p, then a draw in the order of ids.
int expected_token(const float* logits, int vocab, const SampleRow& row) {
  std::vector<float> clean(logits, logits + vocab);
  for (float& x : clean) {
    x = std::isnan(x) ? -INFINITY : std::min(x, std::numeric_limits<float>::max());
  }
  std::vector<int> order(vocab);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return clean[a] > clean[b]; });
  order.resize(std::min(vocab, row.top_k));
  if (row.top_k == 1) return order[0];
  std::vector<double> weights;
  for (const int id : order) {
    weights.push_back(std::exp((clean[id] - clean[order[0]]) * row.inverse_temperature));
  }
  while (weights.back() < row.min_p) weights.pop_back();
  double total = std::accumulate(weights.begin(), weights.end(), 0.0), sum = 0;
  size_t kept = 0;
  while (kept < weights.size() && sum < row.top_p * total) sum += weights[kept++];
  std::vector<std::pair<int, double>> finalists;
  for (size_t i = 0; i < kept; ++i) finalists.emplace_back(order[i], weights[i]);
  std::sort(finalists.begin(), finalists.end());
  double reached = 0;
  for (const auto& [id, weight] : finalists) {
    reached += weight;
    if (reached > row.uniform * sum) return id;
  }
  return finalists.back().first;
}

void expect_tokens(const std::vector<float>& logits, int vocab, const std::vector<SampleRow>& rows,
                   simt::Order order) {
  TestGpu gpu(order);
  SampleArgs args;
  args.logits = gpu.put(logits);
  args.rows = gpu.put(rows);
  args.count = static_cast<int>(rows.size());
  args.vocab = vocab;
  args.out = gpu.empty<int32_t>(rows.size());
  args.scratch = gpu.empty<float>(sample_scratch_floats(args.count));
  gpu.run(gpu.kernels().sample, args);
  const auto tokens = gpu.get(args.out, rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(tokens[i], expected_token(&logits[i * vocab], vocab, rows[i]))
        << "row " << i << " of " << vocab;
  }
}

TEST(Sample, PicksWhatASortWouldPick) {
  const std::vector<SampleRow> rows = {{1, 1, 0, 0, 1},
                                       {1, 1, 0, 0.5f, 40},
                                       {2, 0.9f, 0, 0.73f, 128},
                                       {0.7f, 1, 0.2f, 0.31f, 50},
                                       {1, 0.5f, 0.01f, 0.99f, 7},
                                       {1, 1e-6f, 0, 0.5f, 20}};
  for (const int vocab : {1, 5, 64, 500, 5003}) {
    for (const simt::Order order : orders()) {
      expect_tokens(random_floats(rows.size() * static_cast<size_t>(vocab), 3, 2), vocab, rows,
                    order);
    }
  }
}

TEST(Sample, TakesEqualLogitsByTheirIndex) {
  std::vector<float> logits(1000, 1.0f);
  for (size_t i = 0; i < logits.size(); i += 7) logits[i] = 2.0f;
  std::vector<float> rows_of;
  std::vector<SampleRow> rows;
  for (const int k : {1, 2, 100, 128}) {
    rows.push_back({1, 1, 0, 0.999f, k});
    rows_of.insert(rows_of.end(), logits.begin(), logits.end());
  }
  expect_tokens(rows_of, 1000, rows, simt::Order::kRandom);
}

TEST(Sample, TakesAnyLogits) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = INFINITY;
  const std::vector<float> logits = {kNan,  -kInf, -3.0f, kInf, kNan,  0.0f, -0.5f, kInf,
                                     -kInf, kNan,  1.0f,  0.5f, -kInf, 2.0f, 1.5f,  -1.0f};
  expect_tokens(logits, 8, {{1, 1, 0, 0.6f, 3}, {1, 1, 0, 0.6f, 8}}, simt::Order::kForward);
  expect_tokens(logits, 8, {{1, 1, 0, 0, 1}, {1, 1, 0, 0, 1}}, simt::Order::kReverse);
}

}  // namespace
}  // namespace mokume::cuda
