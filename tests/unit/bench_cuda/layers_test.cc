// What bench/cuda measures against: the plain layers compute what the product's do, and the account
// that is kept of both is whole.
#include "bench/cuda/layers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "bench/cuda/layer_model.h"
#include "bench/cuda/observed_gpu.h"

namespace mokume::bench {
namespace {

using cuda::Format;

// Four layers: delta nets, then an attention; or four attentions.
SyntheticShape small_shape(bool hybrid) {
  SyntheticShape shape{.name = "small",
                       .layers = 4,
                       .hidden = 96,
                       .ffn = 160,
                       .heads = 4,
                       .kv_heads = 2,
                       .head_dim = 32,
                       .vocab = 1000,
                       .context = 8192,
                       .theta = 1e4,
                       .epsilon = 1e-6f};
  if (hybrid) shape.key_heads = 1, shape.value_heads = 2;
  return shape;
}

std::vector<float> random_floats(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// Three steps from position 0 on.
std::vector<float> run(Layers& layers, int tokens, size_t hidden) {
  std::vector<float> all, out(static_cast<size_t>(tokens) * hidden);
  for (int position = 0; position < 3; ++position) {
    const auto in = random_floats(out.size(), static_cast<unsigned>(position));
    const Status status = layers.step({tokens, position + 1}, in.data(), out.data());
    EXPECT_TRUE(status.ok()) << status;
    all.insert(all.end(), out.begin(), out.end());
  }
  return all;
}

double relative_error(const std::vector<float>& values, const std::vector<float>& expected) {
  double squares = 0, worst = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    squares += double{expected[i]} * expected[i];
    const double difference = std::abs(double{values[i]} - expected[i]);
    worst = difference > worst || std::isnan(difference) ? difference : worst;
  }
  return worst / std::sqrt(squares / static_cast<double>(expected.size()));
}

struct Case {
  bool hybrid;
  Format format;
  double tolerance;
};

class PlainLayers : public testing::TestWithParam<Case> {};

// The product's inputs are rounded to halves before they are divided by their norm, the plain ones
// after it.
INSTANTIATE_TEST_SUITE_P(Layers, PlainLayers,
                         testing::Values(Case{true, Format::kF16, 1e-3},
                                         Case{true, Format::kNvfp4, 1e-3},
                                         Case{true, Format::kInt8, 1e-3},
                                         Case{false, Format::kF16, 1e-3}),
                         [](const auto& tested) {
                           return std::string(tested.param.hybrid ? "Hybrid" : "Attention") +
                                  name_of(tested.param.format);
                         });

TEST_P(PlainLayers, ComputeWhatTheProductDoes) {
  constexpr int kTokens = 2;
  const auto model = make_layer_model(small_shape(GetParam().hybrid), 4, GetParam().format);
  ASSERT_TRUE(model.ok()) << model.status();
  const StageOptions options = layer_options(*model, 0, 4, kTokens);
  const auto gpu = cuda::make_simulated_gpu({}), other = cuda::make_simulated_gpu({});
  const auto product = make_product_layers(options, *gpu);
  const auto plain = make_plain_layers(options, *other, bench_kernels_simt());
  ASSERT_TRUE(product.ok()) << product.status();
  ASSERT_TRUE(plain.ok()) << plain.status();
  const auto expected = run(**product, kTokens, 96);
  EXPECT_GT(relative_error(expected, random_floats(expected.size(), 0)), 0.1) << "nothing was done";
  EXPECT_LT(relative_error(run(**plain, kTokens, 96), expected), GetParam().tolerance);
}

struct Account {
  std::vector<Op> ops;
  simt::Counters total;
};

template <typename Make>
Account account_of(const StageOptions& options, const Make& make) {
  cuda::SimulatedOptions simulated;
  simulated.check = false;
  ObservedGpu gpu(simulated, 100);
  auto layers = make(options, gpu);
  EXPECT_TRUE(layers.ok()) << layers.status();
  if (!layers.ok()) return {};
  const auto held = held_by(options);
  EXPECT_TRUE(held.ok()) << held.status();
  gpu.watch_largest(held.value_or(Held{}).extent);
  std::vector<float> in(static_cast<size_t>(options.model->spec.hidden_size)), out(in.size());
  const Status status = (*layers)->step({1, 100}, in.data(), out.data());
  EXPECT_TRUE(status.ok()) << status;
  Account account{gpu.take_ops(), {}};
  for (const Op& op : account.ops) account.total.add(op.counted);
  return account;
}

class Accounts : public testing::Test {
 protected:
  // A delta net and an attention of Qwen3.5-0.8B.
  void SetUp() override {
    const auto shape = find_shape("qwen3.5-0.8b");
    ASSERT_TRUE(shape.ok());
    const auto model = make_layer_model(*shape, 4, Format::kNvfp4);
    ASSERT_TRUE(model.ok()) << model.status();
    for (const int layer : {0, 3}) {
      const StageOptions options = layer_options(*model, layer, layer + 1, 1);
      product.push_back(account_of(options, make_product_layers));
      plain.push_back(account_of(options, [](const StageOptions& of, cuda::Gpu& gpu) {
        return make_plain_layers(of, gpu, bench_kernels_simt());
      }));
    }
  }
  std::vector<Account> product, plain;
};

TEST_F(Accounts, AreWhole) {
  for (const Account& account : product) {
    double least = 0;
    int launches = 0;
    for (const Op& op : account.ops) {
      ASSERT_TRUE(op.least_bytes) << op.name;
      EXPECT_GT(op.counted.blocks, 0u) << op.name;
      least += *op.least_bytes;
      launches += op.launches;
    }
    EXPECT_EQ(static_cast<uint64_t>(launches), account.total.launches);
    const auto moved = static_cast<double>(account.total.read_bytes + account.total.written_bytes);
    EXPECT_GE(moved, 0.99 * least);
    EXPECT_LE(moved, 1.05 * least);
    EXPECT_GT(account.total.watched_bytes, 0u);
    EXPECT_LT(account.total.watched_bytes, account.total.read_bytes / 2);
  }
}

TEST_F(Accounts, TakeHalfOfWhatOneKernelAnOpTakes) {
  uint64_t launches[2] = {}, activations[2] = {};
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_LE(product[layer].total.launches, 7u);
    EXPECT_LE(2 * product[layer].total.launches, plain[layer].total.launches);
    const uint64_t count = layer == 0 ? 3 : 1;  // of four layers
    launches[0] += count * product[layer].total.launches;
    launches[1] += count * plain[layer].total.launches;
    activations[0] += count * product[layer].total.watched_bytes;
    activations[1] += count * plain[layer].total.watched_bytes;
  }
  EXPECT_LE(2 * launches[0], launches[1]);
  EXPECT_LE(2 * activations[0], activations[1]);
}

}  // namespace
}  // namespace mokume::bench
