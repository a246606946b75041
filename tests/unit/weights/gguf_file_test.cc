// Files as llama.cpp's converter and quantizer write them. The expected numbers were read with an
// independent parser.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gguf_builder.h"
#include "weights/gguf.h"

namespace mokume {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string data_file(const std::string& name) {
  return MOKUME_SOURCE_DIR "/tests/data/gguf/" + name;
}

std::shared_ptr<GgufFile> open_file(const std::string& name) {
  auto file = GgufFile::open(data_file(name));
  EXPECT_TRUE(file.ok()) << file.status();
  return file.value_or(nullptr);
}

/// Elements 0, 1, 31, 32, 100 and 255 of row 5 of blk.1.attn_k.weight.
std::vector<float> probe(const GgufFile& file) {
  const TensorView view = file.tensor("blk.1.attn_k.weight").value();
  std::vector<float> row(view.columns());
  dequantize_row(view, 5, row);
  return {row[0], row[1], row[31], row[32], row[100], row[255]};
}

TEST(GgufFile, HeaderOfTinyLlama) {
  const auto file = open_file("tiny-llama.gguf");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->names().size(), 38u);
  EXPECT_EQ(file->names().front(), "token_embd.weight");
  EXPECT_EQ(file->metadata_keys().size(), 19u);
  EXPECT_EQ(file->get_string("general.name").value(), "Tiny Llama");
  EXPECT_EQ(file->get_int("llama.feed_forward_length", 1, 1000).value(), 160);
  EXPECT_FLOAT_EQ(file->get_float("llama.attention.layer_norm_rms_epsilon", 0, 1).value(), 1e-6f);
  EXPECT_EQ(to_string(file->tensor("blk.0.ffn_down.weight").value()), "[64, 160] F32");
  EXPECT_EQ(to_string(file->tensor("output_norm.weight").value()), "[64] F32");
  EXPECT_TRUE(file->contains("blk.3.attn_v.weight"));
  EXPECT_FALSE(file->contains("blk.4.attn_v.weight"));
}

TEST(GgufFile, ValuesInEveryType) {
  using ::testing::ElementsAre;
  EXPECT_THAT(probe(*open_file("wide-llama-F16.gguf")),
              ElementsAre(0x1.2a4p-5f, -0x1.dccp-4f, -0x1.25cp-6f, -0x1.75cp-3f, -0x1.0a4p-4f,
                          -0x1.71p-5f));
  EXPECT_THAT(
      probe(*open_file("wide-llama-BF16.gguf")),
      ElementsAre(0x1.2ap-5f, -0x1.dcp-4f, -0x1.26p-6f, -0x1.76p-3f, -0x1.0ap-4f, -0x1.7p-5f));
  EXPECT_THAT(probe(*open_file("wide-llama-Q8_0.gguf")),
              ElementsAre(0x1.265ap-5f, -0x1.e042p-4f, -0x1.16dcp-6f, -0x1.758fp-3f, -0x1.072fp-4f,
                          -0x1.6be4p-5f));
}

TEST(GgufFile, AnUnknownTypeNamesTensorTypeAndTheKnownOnes) {
  mokume::testing::GgufBuilder builder;
  builder.tensor("output.weight", {256, 1}, 10, std::vector<std::byte>(84));
  const auto file = GgufFile::from_bytes(builder.build(), "q2.gguf");
  ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(file.status().message()),
              AllOf(HasSubstr("output.weight"), HasSubstr("10 (Q2_K)"), HasSubstr("Q4_1 (3)"),
                    HasSubstr("NVFP4 (40)"), HasSubstr("q2.gguf, byte ")));
}

TEST(GgufFile, ReleasedPagesReadTheSameAgain) {
  const auto file = open_file("wide-llama-F16.gguf");
  ASSERT_NE(file, nullptr);
  const std::vector<float> before = probe(*file);
  for (const std::string& name : file->names()) file->release(file->tensor(name).value());
  EXPECT_EQ(probe(*file), before);
}

TEST(GgufFile, ReleaseLeavesOtherMemoryAlone) {
  const auto file = open_file("tiny-llama.gguf");
  ASSERT_NE(file, nullptr);
  std::vector<std::byte> memory(1 << 16, std::byte{7});
  TensorView other;
  other.data = memory.data();
  other.bytes = memory.size();
  file->release(other);
  EXPECT_EQ(std::count(memory.begin(), memory.end(), std::byte{7}), 1 << 16);
}

TEST(GgufFile, WhatCannotBeOpened) {
  EXPECT_EQ(GgufFile::open("/nonexistent/model.gguf").status().code(), absl::StatusCode::kNotFound);
  const Status folder = GgufFile::open(MOKUME_SOURCE_DIR).status();
  EXPECT_THAT(std::string(folder.message()), HasSubstr("not a regular file"));
  const Status text = GgufFile::open(MOKUME_SOURCE_DIR "/CMakeLists.txt").status();
  EXPECT_THAT(std::string(text.message()), HasSubstr("not a GGUF file"));
}

TEST(GgufFile, MissingTensorNamesTensorAndFile) {
  const Status status = open_file("tiny-llama.gguf")->tensor("rope").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("rope"), HasSubstr("tiny-llama")));
}

}  // namespace
}  // namespace mokume
