#include "weights/gguf_writer.h"

#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "weights/gguf.h"
#include "writer_support.h"

namespace mokume {
namespace {

using mokume::testing::FileSizeLimit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::byte> pattern(uint64_t size, int first) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(first + i * 7);
  return bytes;
}

/// Every kind of value, the widest number of each.
std::vector<GgufKeyValue> all_metadata() {
  return {
      {"general.architecture", std::string("llama")},
      {"u8", uint8_t{255}},
      {"i8", int8_t{-128}},
      {"u16", uint16_t{65535}},
      {"i16", int16_t{-32768}},
      {"u32", std::numeric_limits<uint32_t>::max()},
      {"i32", std::numeric_limits<int32_t>::min()},
      {"f32", 0.1f},
      {"bool", true},
      {"text", std::string("two\nlines \xc3\xa9")},
      {"u64", std::numeric_limits<uint64_t>::max()},
      {"i64", std::numeric_limits<int64_t>::min()},
      {"f64", 0.1},
      {"u8s", std::vector<uint8_t>{1, 255}},
      {"i8s", std::vector<int8_t>{-1}},
      {"u16s", std::vector<uint16_t>{65535}},
      {"i16s", std::vector<int16_t>{-2, 2}},
      {"u32s", std::vector<uint32_t>{4'000'000'000}},
      {"i32s", std::vector<int32_t>{-3, 3}},
      {"f32s", std::vector<float>{0.5f, 1.5f}},
      {"bools", std::vector<bool>{true, false}},
      {"texts", std::vector<std::string>{"a", "", "b c"}},
      {"u64s", std::vector<uint64_t>{5}},
      {"i64s", std::vector<int64_t>{-5}},
      {"f64s", std::vector<double>{0.25}},
      {"empty", std::vector<std::string>{}},
  };
}

/// Every type, one row and many, with sizes that are no multiple of the alignment.
const std::vector<GgufTensor> kTensors = {
    {"f32", DType::kF32, {3}},         {"f16", DType::kF16, {2, 5}},
    {"bf16", DType::kBF16, {1, 2, 3}}, {"q8_0", DType::kQ8_0, {3, 32}},
    {"nvfp4", DType::kNVFP4, {3, 64}}, {"q4_0", DType::kQ4_0, {1, 32}},
    {"q4_1", DType::kQ4_1, {1, 32}},   {"q5_0", DType::kQ5_0, {1, 32}},
    {"q5_1", DType::kQ5_1, {1, 32}},   {"q4_k", DType::kQ4_K, {1, 256}},
    {"q5_k", DType::kQ5_K, {1, 256}},  {"q6_k", DType::kQ6_K, {1, 256}},
    {"iq4", DType::kIQ4_NL, {1, 32}},  {"mxfp4", DType::kMXFP4, {1, 32}},
    {"last", DType::kF32, {1}},
};

Status write_all(WeightWriter& writer, size_t slice) {
  for (size_t i = kTensors.size(); i-- > 0;) {
    const auto bytes = pattern(gguf_bytes(kTensors[i]).value(), static_cast<int>(i));
    for (size_t at = 0; at < bytes.size(); at += slice) {
      const auto part = std::span(bytes).subspan(at, std::min(slice, bytes.size() - at));
      MKM_RETURN_IF_ERROR(writer.write(kTensors[i].name, part));
    }
  }
  return absl::OkStatus();
}

class GgufWriterTest : public mokume::testing::WritingTest {
 protected:
  std::shared_ptr<GgufFile> written() {
    auto writer = create_gguf_file(path("a.gguf"), all_metadata(), kTensors);
    EXPECT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(write_all(**writer, 13).ok());
    EXPECT_TRUE((*writer)->finish().ok());
    EXPECT_THAT(files(), ElementsAre("a.gguf"));
    auto file = GgufFile::open(path("a.gguf"));
    EXPECT_TRUE(file.ok()) << file.status();
    return *file;
  }
};

TEST_F(GgufWriterTest, MetadataAreReadBack) {
  const auto file = written();
  EXPECT_EQ(file->metadata_keys().size(), all_metadata().size());
  const auto value = [&](std::string_view key) { return *file->metadata(key); };
  EXPECT_EQ(value("u8"), MetadataValue(uint64_t{255}));
  EXPECT_EQ(value("i8"), MetadataValue(int64_t{-128}));
  EXPECT_EQ(value("u16"), MetadataValue(uint64_t{65535}));
  EXPECT_EQ(value("i16"), MetadataValue(int64_t{-32768}));
  EXPECT_EQ(value("u32"), MetadataValue(uint64_t{4294967295}));
  EXPECT_EQ(value("i32"), MetadataValue(int64_t{-2147483648}));
  EXPECT_EQ(value("f32"), MetadataValue(double{0.1f}));
  EXPECT_EQ(value("bool"), MetadataValue(true));
  EXPECT_EQ(value("text"), MetadataValue(std::string("two\nlines \xc3\xa9")));
  EXPECT_EQ(value("u64"), MetadataValue(std::numeric_limits<uint64_t>::max()));
  EXPECT_EQ(value("i64"), MetadataValue(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(value("f64"), MetadataValue(0.1));
}

TEST_F(GgufWriterTest, ArraysAreReadBack) {
  const auto file = written();
  const auto value = [&](std::string_view key) { return *file->metadata(key); };
  EXPECT_EQ(value("u8s"), MetadataValue(std::vector<uint64_t>{1, 255}));
  EXPECT_EQ(value("i8s"), MetadataValue(std::vector<int64_t>{-1}));
  EXPECT_EQ(value("u16s"), MetadataValue(std::vector<uint64_t>{65535}));
  EXPECT_EQ(value("i16s"), MetadataValue(std::vector<int64_t>{-2, 2}));
  EXPECT_EQ(value("u32s"), MetadataValue(std::vector<uint64_t>{4'000'000'000}));
  EXPECT_EQ(value("i32s"), MetadataValue(std::vector<int64_t>{-3, 3}));
  EXPECT_EQ(value("f32s"), MetadataValue(std::vector<double>{0.5, 1.5}));
  EXPECT_EQ(value("bools"), MetadataValue(std::vector<bool>{true, false}));
  EXPECT_EQ(value("texts"), MetadataValue(std::vector<std::string>{"a", "", "b c"}));
  EXPECT_EQ(value("u64s"), MetadataValue(std::vector<uint64_t>{5}));
  EXPECT_EQ(value("i64s"), MetadataValue(std::vector<int64_t>{-5}));
  EXPECT_EQ(value("f64s"), MetadataValue(std::vector<double>{0.25}));
  EXPECT_EQ(value("empty"), MetadataValue(std::vector<std::string>{}));
}

TEST_F(GgufWriterTest, TensorsAreReadBack) {
  const auto file = written();
  EXPECT_EQ(file->names().size(), kTensors.size());
  for (size_t i = 0; i < kTensors.size(); ++i) {
    const TensorView view = file->tensor(kTensors[i].name).value();
    const auto wanted = pattern(gguf_bytes(kTensors[i]).value(), static_cast<int>(i));
    EXPECT_EQ(view.dtype, kTensors[i].dtype);
    EXPECT_EQ(std::vector<int64_t>(view.shape.begin(), view.shape.begin() + view.rank),
              kTensors[i].shape);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % 32, 0u) << view.name;
    ASSERT_EQ(view.bytes, wanted.size()) << view.name;
    EXPECT_EQ(std::memcmp(view.data, wanted.data(), wanted.size()), 0) << view.name;
  }
  EXPECT_EQ(std::filesystem::file_size(path("a.gguf")) % 32, 0u);
}

TEST_F(GgufWriterTest, RefusesListsThatAreWrong) {
  const auto error = [&](const std::vector<GgufKeyValue>& metadata,
                         const std::vector<GgufTensor>& tensors) {
    const Status status = create_gguf_file(path("a"), metadata, tensors).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error({}, {{"a", DType::kF32, {1}}, {"a", DType::kF32, {1}}}),
              HasSubstr("tensor a is listed twice"));
  EXPECT_THAT(error({}, {{"a", DType::kF8_E4M3, {1}}}),
              HasSubstr("tensor a is of type F8_E4M3, which GGUF does not have"));
  EXPECT_THAT(error({}, {{"a", DType::kNVFP4, {2, 32}}}),
              HasSubstr("rows of 32; NVFP4 needs multiples of 64"));
  EXPECT_THAT(error({}, {{"a", DType::kF32, {}}}), HasSubstr("0 dimensions"));
  EXPECT_THAT(error({}, {{"a", DType::kF32, {1, 1, 1, 1, 1}}}), HasSubstr("5 dimensions"));
  EXPECT_THAT(error({}, {{"a", DType::kF32, {0}}}), HasSubstr("a dimension of 0"));
  const int64_t large = int64_t{1} << 40;
  EXPECT_THAT(error({}, {{"a", DType::kF32, {large, large}}}), HasSubstr("larger than 2^64"));
  EXPECT_THAT(
      error({}, {{"a", DType::kF16, {large, 1 << 22}}, {"b", DType::kF16, {large, 1 << 22}}}),
      HasSubstr("more than 2^64"));
  EXPECT_THAT(error({}, {{std::string(64, 'x'), DType::kF32, {1}}}), HasSubstr("1 to 63"));
  EXPECT_THAT(error({{"k", true}, {"k", false}}, {}), HasSubstr("key k is listed twice"));
  EXPECT_THAT(error({{"", true}}, {}), HasSubstr("a key is called \"\""));
  EXPECT_THAT(error({{"general.alignment", uint32_t{64}}}, {}), HasSubstr("cannot be chosen"));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(GgufWriterTest, ChecksThatEverythingCame) {
  auto writer = create_gguf_file(path("a"), all_metadata(), kTensors).value();
  EXPECT_THAT(std::string(writer->finish().message()), HasSubstr("only 0 were written"));
  writer.reset();
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(GgufWriterTest, AWriteThatFailsLeavesNothing) {
  auto writer = create_gguf_file(path("a"), all_metadata(), kTensors).value();
  {
    const FileSizeLimit limit(2500);
    EXPECT_EQ(write_all(*writer, 1000).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(create_gguf_file(path("b"), all_metadata(), kTensors).status().code(),
              absl::StatusCode::kResourceExhausted);
  }
  writer.reset();
  EXPECT_THAT(files(), IsEmpty());
}

}  // namespace
}  // namespace mokume
