// The gated delta net against double precision, token by token.
#include <gtest/gtest.h>

#include "tests/kernels_cuda/step.h"

namespace mokume::cuda {
namespace {

struct Net {
  int key_heads, value_heads, key_dim, value_dim, conv_kernel;
  bool tiled;
  int key_width() const { return key_heads * key_dim; }
  int value_width() const { return value_heads * value_dim; }
  int channels() const { return 2 * key_width() + value_width(); }
  int key_head(int h) const { return tiled ? h % key_heads : h / (value_heads / key_heads); }
};
const Net kNets[] = {{2, 4, 16, 16, 4, false},
                     {2, 4, 32, 48, 4, true},
                     {1, 3, 20, 12, 2, false},
                     {2, 2, 100, 64, 5, true},
                     {1, 2, 128, 128, 4, false}};

// What the tokens of a step are made of, for as many tokens as there are.
struct Inputs {
  std::vector<float> qkv, z, a, b, conv, decay_rate, dt_bias, norm;
  Inputs(const Net& net, size_t tokens)
      : qkv(random_floats(tokens * net.channels(), 1)),
        z(random_floats(tokens * net.value_width(), 2)),
        a(random_floats(tokens * net.value_heads, 3)),
        b(random_floats(tokens * net.value_heads, 4)),
        conv(random_floats(static_cast<size_t>(net.conv_kernel) * net.channels(), 5, 0.5f)),
        decay_rate(random_floats(net.value_heads, 6, 0.3f)),
        dt_bias(random_floats(net.value_heads, 7)),
        norm(random_floats(net.value_dim, 8)) {
    for (float& rate : decay_rate) rate = -std::abs(rate);
  }
};

double silu(double x) { return x / (1 + std::exp(-x)); }

// All tokens of one sequence, from its beginning; rows [first, first + tokens) of the inputs.
std::vector<double> expected_net(const Net& net, const Inputs& in, size_t first, int tokens) {
  std::vector<double> out;
  std::vector<double> states(static_cast<size_t>(net.value_heads) * net.key_dim * net.value_dim);
  for (int t = 0; t < tokens; ++t) {
    std::vector<double> x(net.channels());
    for (int c = 0; c < net.channels(); ++c) {
      for (int j = 0; j < net.conv_kernel; ++j) {
        const int from = t - net.conv_kernel + 1 + j;
        if (from >= 0)
          x[c] += in.conv[j * net.channels() + c] * in.qkv[(first + from) * net.channels() + c];
      }
      x[c] = silu(x[c]);
    }
    for (int h = 0; h < 2 * net.key_heads; ++h) {
      double squares = 0;
      for (int i = 0; i < net.key_dim; ++i) squares += std::pow(x[h * net.key_dim + i], 2);
      const double length = h < net.key_heads ? 1 / std::sqrt(net.key_dim) : 1;
      for (int i = 0; i < net.key_dim; ++i)
        x[h * net.key_dim + i] *= length / std::sqrt(squares + 1e-6);
    }
    for (int h = 0; h < net.value_heads; ++h) {
      const size_t gate = (first + t) * net.value_heads + h;
      const double decay =
          std::exp(in.decay_rate[h] * std::log1p(std::exp(double{in.a[gate]} + in.dt_bias[h])));
      const double beta = 1 / (1 + std::exp(-in.b[gate]));
      const double* q = &x[net.key_head(h) * net.key_dim];
      const double* k = q + net.key_width();
      const double* v = &x[2 * net.key_width() + h * net.value_dim];
      std::vector<double> o(net.value_dim);
      double squares = 0;
      for (int c = 0; c < net.value_dim; ++c) {
        double* s = &states[static_cast<size_t>(h) * net.key_dim * net.value_dim + c];
        double seen = 0;
        for (int i = 0; i < net.key_dim; ++i) seen += (s[i * net.value_dim] *= decay) * k[i];
        for (int i = 0; i < net.key_dim; ++i) {
          o[c] += (s[i * net.value_dim] += k[i] * beta * (v[c] - seen)) * q[i];
        }
        squares += o[c] * o[c];
      }
      for (int c = 0; c < net.value_dim; ++c) {
        out.push_back(o[c] / std::sqrt(squares / net.value_dim + 1e-5) * in.norm[c] *
                      silu(in.z[((first + t) * net.value_heads + h) * net.value_dim + c]));
      }
    }
  }
  return out;
}

// A device that holds the states of sequences between steps.
struct NetRun {
  TestGpu gpu;
  const Net net;
  const Inputs& in;
  float *states, *conv_states;

  NetRun(const Net& of, const Inputs& inputs, simt::Order order, int slots)
      : gpu(order), net(of), in(inputs) {
    states = gpu.empty<float>(static_cast<size_t>(slots) * net.value_heads * net.key_dim *
                              net.value_dim);
    conv_states = gpu.empty<float>(static_cast<size_t>(slots) * net.conv_kernel * net.channels());
  }

  // `rows`: which row of the inputs each token of the step is.
  std::vector<float> step(int (*op)(const DeltaNetArgs&, Stream), const MadeStep& made,
                          const std::vector<size_t>& rows) {
    const auto pick = [&](const std::vector<float>& from, size_t width) {
      std::vector<float> picked;
      for (const size_t row : rows)
        picked.insert(picked.end(), from.begin() + row * width, from.begin() + (row + 1) * width);
      picked.resize(made.tokens() * width);
      return gpu.put(picked);
    };
    DeltaNetArgs args;
    args.qkv = pick(in.qkv, net.channels());
    args.z = pick(in.z, net.value_width());
    args.a = pick(in.a, net.value_heads);
    args.b = pick(in.b, net.value_heads);
    args.conv = gpu.put(in.conv);
    args.decay_rate = gpu.put(in.decay_rate);
    args.dt_bias = gpu.put(in.dt_bias);
    args.norm_weight = gpu.put(in.norm);
    args.epsilon = 1e-5f;
    args.states = states;
    args.conv_states = conv_states;
    const size_t count = static_cast<size_t>(made.tokens()) * net.value_width();
    args.out = gpu.empty<float>(count);
    args.scratch =
        gpu.empty<float>(delta_net_scratch_floats(made.tokens(), net.channels(), net.value_heads));
    args.key_heads = net.key_heads;
    args.value_heads = net.value_heads;
    args.key_dim = net.key_dim;
    args.value_dim = net.value_dim;
    args.conv_kernel = net.conv_kernel;
    args.tiled_heads = net.tiled;
    args.step = made.on(gpu);
    gpu.run(op, args);
    return gpu.get(args.out, count);
  }
};

void append(std::vector<float>& to, const std::vector<float>& from, size_t begin, size_t count) {
  to.insert(to.end(), from.begin() + begin, from.begin() + begin + count);
}

// Two sequences: their prompts in one step, cut in two, then tokens one at a time.
TEST(DeltaNet, IsWhatItsFormulasSay) {
  const int lengths[] = {9, 6};
  for (const Net& net : kNets) {
    const Inputs in(net, 15);
    for (const simt::Order order : orders()) {
      SCOPED_TRACE(testing::Message() << net.key_dim << 'x' << net.value_dim);
      NetRun run(net, in, order, 3);
      const size_t width = net.value_width();
      std::vector<float> first, second;
      const auto prefill = run.gpu.kernels().delta_net_prefill;
      auto out = run.step(prefill, MadeStep({{0, 5}, {0, 1}}, 16, 1), {0, 1, 2, 3, 4, 9});
      append(first, out, 0, 5 * width), append(second, out, 5 * width, width);
      out = run.step(prefill, MadeStep({{5, 2}, {1, 3}}, 16, 1), {5, 6, 10, 11, 12});
      append(first, out, 0, 2 * width), append(second, out, 2 * width, 3 * width);
      for (size_t t = 0; t < 2; ++t) {
        out = run.step(
            run.gpu.kernels().delta_net_decode,
            MadeStep({{static_cast<int>(7 + t), 1}, {static_cast<int>(4 + t), 1}}, 16, 1, 1),
            {7 + t, 13 + t});
        append(first, out, 0, width), append(second, out, width, width);
        for (size_t i = 2 * width; i < 3 * width; ++i) EXPECT_EQ(out[i], 0) << "padded";
      }
      EXPECT_LT(relative_error(first, expected_net(net, in, 0, lengths[0])), 1e-5);
      EXPECT_LT(relative_error(second, expected_net(net, in, 9, lengths[1])), 1e-5);
    }
  }
}

TEST(DeltaNet, BeginsWithADecodeStepToo) {
  const Net net = {2, 4, 32, 32, 4, false};
  const Inputs in(net, 5);
  NetRun run(net, in, simt::Order::kForward, 2);
  std::vector<float> all;
  for (size_t t = 0; t < 5; ++t) {
    append(all,
           run.step(run.gpu.kernels().delta_net_decode, MadeStep({{static_cast<int>(t), 1}}, 16, 1),
                    {t}),
           0, net.value_width());
  }
  EXPECT_LT(relative_error(all, expected_net(net, in, 0, 5)), 1e-5);
}

TEST(DeltaNet, GivesATokenTheSameBitsHoweverItsPromptIsCut) {
  const Net net = {2, 4, 32, 48, 4, true};
  const Inputs in(net, 8);
  std::vector<std::vector<float>> runs;
  for (const int cut : {8, 1, 3}) {
    NetRun run(net, in, simt::Order::kForward, 2);
    std::vector<float> all;
    for (int t = 0; t < 8; t += cut) {
      const int count = std::min(cut, 8 - t);
      std::vector<size_t> rows;
      for (int i = 0; i < count; ++i) rows.push_back(t + i);
      append(all,
             run.step(run.gpu.kernels().delta_net_prefill, MadeStep({{t, count}}, 16, 1), rows), 0,
             static_cast<size_t>(count) * net.value_width());
    }
    runs.push_back(all);
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_EQ(runs[0], runs[2]);
}

// Half the heads of Qwen3.5-9B.
TEST(DeltaNet, MovesWhatItMust) {
  if (on_gpu()) GTEST_SKIP() << "the executor counts";
  const Net net = {8, 16, 128, 128, 4, false};
  const Inputs in(net, 5);
  NetRun run(net, in, simt::Order::kForward, 2);
  run.step(run.gpu.kernels().delta_net_prefill, MadeStep({{0, 4}}, 16, 1), {0, 1, 2, 3});
  run.gpu.reset_counters();
  run.step(run.gpu.kernels().delta_net_decode, MadeStep({{4, 1}}, 16, 1), {4});
  const simt::Counters c = run.gpu.counted();
  const double states = 16.0 * 128 * 128 * 4, channels = net.channels() * 4.0;
  EXPECT_LE(c.read_bytes, 1.05 * (states + channels * (4 + 4) + net.value_width() * 4.0));
  EXPECT_LE(c.written_bytes, 1.05 * (states + channels + net.value_width() * 4.0));
  EXPECT_GE(c.sector_efficiency(), 0.95);
  EXPECT_LE(c.bank_ways(), 1.1);
}

}  // namespace
}  // namespace mokume::cuda
