#include "placement/placement.h"

#include <gtest/gtest.h>

#include <array>

#include "model/memory.h"

namespace mokume {
namespace {

TensorView tensor(uint64_t bytes) {
  TensorView view;
  view.bytes = bytes;
  return view;
}

/// Each layer holds 1011 bytes, the embedding 5000, the final norm 7 and the head 5000; a token
/// takes 4 * 3 keys.
ModelSpec make_spec(int layers, bool tied) {
  ModelSpec spec;
  spec.name = "tiny";
  spec.context_length = 1024;
  spec.embedding = tensor(5000);
  spec.final_norm.weight = tensor(7);
  spec.head.weight = tensor(5000);
  spec.tied_head = tied;
  Attention attention{.heads = 8, .kv_heads = 4, .head_dim = 3};
  attention.q.weight = tensor(100);
  attention.q.bias = tensor(1);
  attention.k.weight = tensor(100);
  attention.v.weight = tensor(100);
  attention.o.weight = tensor(100);
  const SwiGlu ffn{
      .hidden = 1, .gate = {tensor(200), {}}, .up = {tensor(200), {}}, .down = {tensor(200), {}}};
  spec.layers.assign(layers, LayerSpec{{tensor(5)}, attention, {tensor(5)}, ffn});
  return spec;
}

Config make_config(const std::string& stages, const std::string& scheduler = "{}") {
  const std::string yaml =
      "model: {path: a.gguf}\ndevices:\n  - {name: cpu0, kind: cpu}\n  - {name: cpu1, kind: "
      "cpu}\nscheduler: " +
      scheduler + "\n" + (stages.empty() ? "" : "placement:\n  stages:\n") + stages;
  Result<Config> config = parse_config(yaml, "f.yaml");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : Config{};
}

/// "cpu0 0-14" is a line of YAML; the first stands in line 8.
std::string stages(std::initializer_list<std::array<const char*, 2>> list) {
  std::string yaml;
  for (const auto& [device, layers] : list) {
    yaml += std::string("    - {device: ") + device + ", layers: " + layers + "}\n";
  }
  return yaml;
}

std::string error_of(const Config& config, int layers) {
  const Result<PlacementPlan> plan = plan_placement(make_spec(layers, false), config, false);
  return plan.ok() ? "no error" : std::string(plan.status().message());
}

TEST(Placement, AllLayersGoToTheFirstDeviceUnlessToldOtherwise) {
  const Result<PlacementPlan> plan = plan_placement(make_spec(16, true), make_config(""), false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->stages.size(), 1u);
  EXPECT_EQ(plan->stages[0].device, "cpu0");
  EXPECT_EQ(plan->stages[0].first_layer, 0);
  EXPECT_EQ(plan->stages[0].last_layer, 16);
  EXPECT_EQ(plan->stages[0].weight_bytes, 5000u + 16 * 1011 + 7);
}

TEST(Placement, SplitsLayersWeightsAndKv) {
  const Config config = make_config(stages({{"cpu0", "0-11"}, {"cpu1", "12-14"}, {"cpu0", "15"}}));
  const Result<PlacementPlan> plan = plan_placement(make_spec(16, true), config, false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->stages.size(), 3u);
  EXPECT_EQ(plan->stages[1].device, "cpu1");
  EXPECT_EQ(plan->stages[1].first_layer, 12);
  EXPECT_EQ(plan->stages[1].last_layer, 15);
  EXPECT_EQ(plan->stages[0].weight_bytes, 5000u + 12 * 1011);
  EXPECT_EQ(plan->stages[1].weight_bytes, 3u * 1011);
  EXPECT_EQ(plan->stages[2].weight_bytes, 1011u + 7 + 5000);
  EXPECT_EQ(plan->stages[1].kv_page_bytes, 3u * 2 * 4 * (3 * 2 + 4) * 16);
}

TEST(Placement, AnOwnHeadIsCountedBesideTheEmbedding) {
  EXPECT_EQ(stage_weight_bytes(make_spec(2, false), 0, 2), 5000u + 2 * 1011 + 7 + 5000);
  EXPECT_EQ(stage_weight_bytes(make_spec(2, true), 0, 2), 5000u + 2 * 1011 + 7);
}

TEST(Placement, ExactKvTakesTwiceTheMemory) {
  const ModelSpec spec = make_spec(2, false);
  EXPECT_EQ(stage_kv_page_bytes(spec, 0, 2, 16, KvType::kF16), 2u * 2 * 4 * 3 * 16 * 2);
  EXPECT_EQ(stage_kv_page_bytes(spec, 0, 2, 16, KvType::kF32), 2u * 2 * 4 * 3 * 16 * 4);
}

TEST(Placement, KvOfIntegersHasAScaleForEachHead) {
  const ModelSpec spec = make_spec(2, false);
  EXPECT_EQ(stage_kv_page_bytes(spec, 0, 2, 16, KvType::kInt16), 2u * 2 * 4 * (3 * 2 + 4) * 16);
  EXPECT_EQ(stage_kv_page_bytes(spec, 0, 2, 16, KvType::kInt8), 2u * 2 * 4 * (3 + 4) * 16);
}

TEST(Placement, KvSizesThatOverflowAreNoSize) {
  ModelSpec spec = make_spec(4, false);
  for (LayerSpec& layer : spec.layers) {
    std::get<Attention>(layer.mixer).kv_heads = 1 << 30;
    std::get<Attention>(layer.mixer).head_dim = 1 << 28;
  }
  EXPECT_EQ(stage_kv_page_bytes(spec, 0, 4, 256, KvType::kF32), std::nullopt);
  EXPECT_EQ(plan_placement(spec, make_config(""), true).status().message(),
            "[placement] the model's KV heads have no usable size (f.yaml:1)");
  std::get<Attention>(spec.layers[0].mixer).kv_heads = 0;
  EXPECT_EQ(stage_kv_page_bytes(spec, 0, 1, 16, KvType::kF32), std::nullopt);
}

TEST(Placement, LayersMustBeCoveredOnceAndInOrder) {
  const auto error = [](auto list) { return error_of(make_config(stages(list)), 16); };
  using List = std::initializer_list<std::array<const char*, 2>>;
  EXPECT_EQ(error(List{{"cpu0", "0-7"}, {"cpu1", "8-11"}}),
            "[placement] layers 12-15 are on no device (f.yaml:9)");
  EXPECT_EQ(error(List{{"cpu0", "0-14"}}), "[placement] layer 15 is on no device (f.yaml:8)");
  EXPECT_EQ(error(List{{"cpu0", "2-15"}}), "[placement] layers 0-1 are on no device (f.yaml:8)");
  EXPECT_EQ(error(List{{"cpu0", "0-6"}, {"cpu1", "8-15"}}),
            "[placement] layer 7 is on no device (f.yaml:9)");
  EXPECT_EQ(error(List{{"cpu0", "0-8"}, {"cpu1", "7-15"}}),
            "[placement] layers 7-8 are in two stages, on cpu0 (line 8) and on cpu1 (f.yaml:9)");
  EXPECT_EQ(error(List{{"cpu0", "0-15"}, {"cpu0", "3"}}),
            "[placement] layer 3 is in two stages, on cpu0 (line 8) and on cpu0 (f.yaml:9)");
  EXPECT_EQ(error(List{{"cpu0", "8-15"}, {"cpu1", "0-7"}}),
            "[placement] layers 0-7 are listed after layers 8-15; list the stages in the order of "
            "their layers "
            "(f.yaml:9)");
  EXPECT_EQ(error(List{{"cpu0", "9-3"}}),
            "[placement] layers 9-3 are no range; the lower layer comes first (f.yaml:8)");
  EXPECT_EQ(error(List{{"cpu0", "0-7"}, {"cpu1", "8-19"}}),
            "[placement] layers 16-19 are beyond the model, which has 16 layers (0-15) (f.yaml:9)");
  EXPECT_EQ(error(List{{"cpu0", "20-30"}}),
            "[placement] layers 20-30 are beyond the model, which has 16 layers (0-15) (f.yaml:8)");
}

TEST(Placement, DevicesMustBeDeclared) {
  Config config = make_config("");
  config.stages = {{"cpu7", 0, 15, {"f.yaml", 8}}};
  EXPECT_EQ(error_of(config, 16), "[placement] device cpu7 is not declared (f.yaml:8)");
  config.devices.clear();
  EXPECT_EQ(error_of(config, 16), "[placement] no device is declared (f.yaml)");
}

TEST(Placement, AModelWithoutLayersIsAnError) {
  EXPECT_EQ(error_of(make_config(""), 0),
            "[placement] the model has no layers or no context (f.yaml:1)");
}

// Over 100 layers a page of 16 tokens takes 100 * 2 * 4 * (3 * 2 + 4) * 16 = 128,000 bytes.
TEST(Placement, PagesAreWhatTheMemoryHolds) {
  const Config config = make_config("", "{kv_cache: {memory: 1MiB}}");
  const Result<PlacementPlan> plan = plan_placement(make_spec(100, false), config, false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->kv_pages, (1 << 20) / 128000);
  EXPECT_EQ(plan->page_tokens, 16);
  EXPECT_EQ(plan->context_length, 8 * 16);
}

TEST(Placement, NoMorePagesThanAllSequencesNeed) {
  const Config config = make_config("", "{max_sequences: 3, kv_cache: {memory: 16TiB}}");
  const Result<PlacementPlan> plan = plan_placement(make_spec(100, false), config, false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->kv_pages, 3 * 1024 / 16);
  EXPECT_EQ(plan->context_length, 1024);
}

TEST(Placement, KvMemoryMustHoldSixtyFourTokens) {
  const Config config = make_config("", "\n  kv_cache: {memory: 1MiB}");
  EXPECT_EQ(error_of(config, 400),
            "[placement] scheduler.kv_cache.memory of 1.0 MiB holds 32 tokens; at least 64 are "
            "needed, which take "
            "2.0 MiB (f.yaml:6)");
}

TEST(Placement, AShortContextNeedsNoMoreThanItself) {
  ModelSpec spec = make_spec(260, false);
  spec.context_length = 40;
  const Result<PlacementPlan> plan =
      plan_placement(spec, make_config("", "{kv_cache: {memory: 1MiB}}"), false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->kv_pages, 3);
  EXPECT_EQ(plan->context_length, 40);
}

TEST(Placement, IsPrintedAsATable) {
  const Config config = make_config(stages({{"cpu0", "0-1"}, {"cpu1", "2"}}));
  const ModelSpec spec = make_spec(3, true);
  const Result<PlacementPlan> plan = plan_placement(spec, config, false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(to_string(*plan, spec),
            "\"tiny\": 3 layers, context 1024 of 1024 tokens, 4096 KV pages of 16 tokens\n"
            "stage  device  layers  weights              KV\n"
            "    0  cpu0       0-1  6.9 KiB  10.0 MiB int16\n"
            "    1  cpu1       2-2  5.9 KiB   5.0 MiB int16\n");
}

// 7 matrices of 16 x 32 a layer, and one of the head, F32: 2048 bytes each, 512 and a scale of 4 a
// row as INT8.
TEST(Placement, CountsConvertedWeights) {
  Config config = make_config(stages({{"cpu0", "0"}, {"cpu1", "1"}}));
  config.stages[1].weights = "int8";
  config.stages[1].activations = "nvfp4";
  ModelSpec spec = make_spec(2, true);
  TensorView weight = tensor(2048);
  weight.rank = 2;
  weight.shape = {16, 32};
  for (LayerSpec& layer : spec.layers) {
    auto& attention = std::get<Attention>(layer.mixer);
    auto& ffn = std::get<SwiGlu>(layer.ffn);
    for (Linear* linear :
         {&attention.q, &attention.k, &attention.v, &attention.o, &ffn.gate, &ffn.up, &ffn.down})
      linear->weight = weight;
  }
  spec.head.weight = weight;
  const Result<PlacementPlan> plan = plan_placement(spec, config, false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->stages[0].weights, WeightFormat::kKeep);
  EXPECT_EQ(plan->stages[0].weight_bytes, 5000u + 7 * 2048 + 11);
  EXPECT_EQ(plan->stages[1].weights, WeightFormat::kInt8);
  EXPECT_EQ(plan->stages[0].activations, Activations::kAuto);
  EXPECT_EQ(plan->stages[1].activations, Activations::kNvfp4);
  EXPECT_EQ(plan->stages[1].weight_bytes, 8u * (512 + 64) + 11 + 7);
  EXPECT_EQ(to_string(*plan, spec),
            "\"tiny\": 2 layers, context 1024 of 1024 tokens, 4096 KV pages of 16 tokens\n"
            "stage  device  layers   weights             KV  format\n"
            "    0  cpu0       0-0  18.9 KiB  5.0 MiB int16    keep\n"
            "    1  cpu1       1-1   4.5 KiB  5.0 MiB int16    int8\n");
  // A tied head that is converted is no longer the embedding.
  EXPECT_EQ(stage_weight_bytes(spec, 0, 2, WeightFormat::kInt8),
            5000u + 15 * (512 + 64) + 2 * 11 + 7);
  EXPECT_EQ(stage_weight_bytes(spec, 0, 2, WeightFormat::kKeep), 5000u + 14 * 2048 + 2 * 11 + 7);
}

/// Layer 0 on a CPU, layer 1 on a GPU, with this type of KV.
Config cpu_and_gpu(const std::string& dtype) {
  const Result<Config> config = parse_config(
      "model: {path: a.gguf}\ndevices:\n  - {name: cpu0, kind: cpu}\n"
      "  - {name: gpu0, kind: cuda}\nplacement:\n  stages:\n"
      "    - {device: cpu0, layers: 0}\n    - {device: gpu0, layers: 1}\n"
      "scheduler:\n  kv_cache:\n    dtype: " +
          dtype,
      "f.yaml");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : Config{};
}

// 2 * 4 keys and values of 3 elements, 16 positions.
TEST(Placement, CountsWhatEachDeviceKeepsOfKv) {
  const ModelSpec spec = make_spec(2, true);
  struct Case {
    const char* dtype;
    bool exact;
    KvType cpu, gpu;
    uint64_t cpu_head, gpu_head;  ///< bytes of a head of a position
  };
  for (const Case& c : {Case{"auto", false, KvType::kInt16, KvType::kF16, 10, 6},
                        Case{"fp16", false, KvType::kF16, KvType::kF16, 6, 6},
                        Case{"int8", false, KvType::kInt8, KvType::kInt8, 7, 7},
                        Case{"fp32", false, KvType::kF32, KvType::kF32, 12, 12},
                        Case{"int8", true, KvType::kF32, KvType::kF32, 12, 12}}) {
    const Result<PlacementPlan> plan = plan_placement(spec, cpu_and_gpu(c.dtype), c.exact);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->stages[0].kv, c.cpu) << c.dtype;
    EXPECT_EQ(plan->stages[1].kv, c.gpu) << c.dtype;
    EXPECT_EQ(plan->stages[0].kv_page_bytes, 2 * 4 * 16 * c.cpu_head) << c.dtype;
    EXPECT_EQ(plan->stages[1].kv_page_bytes, 2 * 4 * 16 * c.gpu_head) << c.dtype;
  }
}

TEST(Placement, RefusesKvThatADeviceDoesNotKeep) {
  const ModelSpec spec = make_spec(2, true);
  EXPECT_EQ(
      plan_placement(spec, cpu_and_gpu("int16"), false).status().message(),
      "[placement] scheduler.kv_cache.dtype is \"int16\"; gpu0 is of the kind cuda, which keeps "
      "one of: fp32, fp16, bf16, int8, fp8 (f.yaml:11)");
  EXPECT_EQ(plan_placement(spec, cpu_and_gpu("fp8"), false).status().message(),
            "[placement] scheduler.kv_cache.dtype is \"fp8\"; cpu0 is of the kind cpu, which keeps "
            "one of: fp32, fp16, bf16, int16, int8 (f.yaml:11)");
}

// Of the same memory, more tokens.
TEST(Placement, SmallerKvHoldsMore) {
  ModelSpec spec = make_spec(2, true);
  spec.context_length = 1 << 20;
  Config config = make_config("", "{max_sequences: 1, kv_cache: {memory: 1MiB, dtype: int8}}");
  EXPECT_EQ(plan_placement(spec, config, false)->kv_pages, (1 << 20) / (2 * 2 * 4 * 16 * 7));
}

TEST(Placement, CountsRecurrentStates) {
  const Config config = make_config(stages({{"cpu0", "0"}, {"cpu1", "1-2"}}), "{max_sequences: 8}");
  ModelSpec spec = make_spec(3, true);
  // A sequence's state: 2 * 8 * 16 of the matrix and 3 * (2 * 8 + 2 * 16) inputs, F32.
  DeltaNet net{.key_heads = 1, .value_heads = 2, .key_dim = 8, .value_dim = 16, .conv_kernel = 4};
  net.qkv.weight = tensor(411);
  spec.layers[0].mixer = spec.layers[1].mixer = net;
  const Result<PlacementPlan> plan = plan_placement(spec, config, false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->stages[0].state_bytes, 1600u);
  EXPECT_EQ(plan->stages[1].state_bytes, 1600u);
  EXPECT_EQ(to_string(*plan, spec),
            "\"tiny\": 3 layers, context 1024 of 1024 tokens, 512 KV pages of 16 tokens, "
            "states of 8 sequences\n"
            "stage  device  layers  weights               KV    states\n"
            "    0  cpu0       0-0  5.9 KiB              0 B  12.5 KiB\n"
            "    1  cpu1       1-2  6.9 KiB  640.0 KiB int16  12.5 KiB\n");
}

}  // namespace
}  // namespace mokume
