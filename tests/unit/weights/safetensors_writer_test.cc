#include "weights/safetensors_writer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "weights/output_file.h"
#include "weights/safetensors.h"
#include "weights/safetensors_header.h"
#include "writer_support.h"

namespace mokume {
namespace {

using mokume::testing::FileSizeLimit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// Bytes that count up from `first`.
std::vector<std::byte> pattern(uint64_t size, int first) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(first + i * 7);
  return bytes;
}

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Every dtype once, odd sizes too.
const std::vector<SafetensorsTensor> kAll = {
    {"packed", "U8", {3, 5}},      {"int8", "I8", {7}},        {"scales", "F8_E4M3", {3, 3}},
    {"half", "F16", {1, 3}},       {"bfloat", "BF16", {2, 2}}, {"float", "F32", {3}},
    {"number", "F32", {}},         {"ids", "I64", {2}},        {"double", "F64", {1}},
    {"other8", "F8_E5M2", {1, 1}}, {"flag", "BOOL", {1}},      {"none", "F32", {0, 4}},
    {"i32", "I32", {1}},           {"i16", "I16", {1}},        {"u16", "U16", {1}},
    {"u32", "U32", {1}},           {"u64", "U64", {1}},
};

/// Writes every tensor's pattern in slices of `slice` bytes, all tensors by turns.
Status write_all(WeightWriter& writer, const std::vector<SafetensorsTensor>& tensors,
                 size_t slice) {
  bool more = true;
  for (size_t at = 0; more; at += slice) {
    more = false;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const auto bytes = pattern(safetensors_bytes(tensors[i]).value(), static_cast<int>(i));
      if (at >= bytes.size()) continue;
      more = true;
      const auto part = std::span(bytes).subspan(at, std::min(slice, bytes.size() - at));
      MKM_RETURN_IF_ERROR(writer.write(tensors[i].name, part));
    }
  }
  return absl::OkStatus();
}

class SafetensorsWriterTest : public mokume::testing::WritingTest {};

TEST_F(SafetensorsWriterTest, WritesWhatTheReaderReads) {
  for (const size_t slice : {1, 3, 100}) {
    auto writer = create_safetensors_file(path("all"), kAll, {{"format", "pt"}, {"by", "test"}});
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE(write_all(**writer, kAll, slice).ok());
    ASSERT_TRUE((*writer)->finish().ok());
    EXPECT_THAT(files(), ElementsAre("all"));

    const std::string file = content(path("all"));
    const auto header = parse_safetensors_header(std::as_bytes(std::span(file)), "all");
    ASSERT_TRUE(header.ok()) << header.status();
    EXPECT_EQ(header->names.size(), kAll.size());
    for (size_t i = 0; i < kAll.size(); ++i) {
      const TensorView& view = header->tensors.at(kAll[i].name).view;
      const auto wanted = pattern(safetensors_bytes(kAll[i]).value(), static_cast<int>(i));
      ASSERT_EQ(view.bytes, wanted.size()) << kAll[i].name;
      EXPECT_TRUE(std::ranges::equal(std::span(view.data, view.bytes), wanted)) << kAll[i].name;
    }
  }
}

TEST_F(SafetensorsWriterTest, AlignsDataByPuttingWideElementsFirst) {
  auto writer = create_safetensors_file(path("all"), kAll);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(write_all(**writer, kAll, 100).ok());
  ASSERT_TRUE((*writer)->finish().ok());
  const std::string file = content(path("all"));
  uint64_t size = 0;
  std::memcpy(&size, file.data(), 8);
  EXPECT_EQ(size % 8, 0u);
  const auto header = nlohmann::json::parse(file.substr(8, size));
  EXPECT_EQ(header["__metadata__"]["format"], "pt");
  EXPECT_EQ(header["float"]["shape"], nlohmann::json::array({3}));
  EXPECT_EQ(header["number"]["shape"], nlohmann::json::array());
  for (const SafetensorsTensor& tensor : kAll) {
    const uint64_t one = safetensors_bytes({"", tensor.dtype, {}}).value();
    EXPECT_EQ(header[tensor.name]["data_offsets"][0].get<uint64_t>() % one, 0u) << tensor.name;
  }
}

TEST_F(SafetensorsWriterTest, RefusesListsThatAreWrong) {
  const auto error = [&](const std::vector<SafetensorsTensor>& tensors) {
    const Status status = create_safetensors_file(path("a"), tensors).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error({{"a", "F32", {1}}, {"a", "F16", {1}}}), HasSubstr("tensor a is listed twice"));
  EXPECT_THAT(error({{"a", "Q8_0", {32}}}), HasSubstr("dtype \"Q8_0\", which safetensors"));
  EXPECT_THAT(error({{"a", "F32", {-1}}}), HasSubstr("a dimension of -1"));
  EXPECT_THAT(error({{"a", "F64", {int64_t{1} << 40, int64_t{1} << 40}}}),
              HasSubstr("larger than 2^64"));
  EXPECT_THAT(error({{"a", "U8", {int64_t{1} << 32, int64_t{1} << 31}},
                     {"b", "U8", {int64_t{1} << 32, int64_t{1} << 31}}}),
              HasSubstr("more than 2^64"));
  EXPECT_THAT(error({{"", "F32", {1}}}), HasSubstr("is called \"\""));
  EXPECT_THAT(error({{"a\n", "F32", {1}}}), HasSubstr("is called \"a\\x0a\""));
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(SafetensorsWriterTest, ChecksThatEverythingCame) {
  const std::vector<SafetensorsTensor> tensors = {{"a", "U8", {4}}, {"b", "U8", {2}}};
  auto writer = create_safetensors_file(path("a"), tensors).value();
  ASSERT_TRUE(writer->write("a", pattern(4, 0)).ok());
  EXPECT_EQ(writer->write("c", pattern(1, 0)).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(writer->write("b", pattern(1, 0)).ok());
  EXPECT_THAT(std::string(writer->write("b", pattern(2, 0)).message()),
              HasSubstr("tensor b has 2 bytes; 2 more come after 1"));
  EXPECT_THAT(std::string(writer->finish().message()),
              HasSubstr("tensor b has 2 bytes; only 1 were written"));
  writer.reset();
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(SafetensorsWriterTest, CutsIntoShards) {
  // 4-byte floats: two fit in 8 bytes; the third tensor alone is larger than a shard.
  const std::vector<SafetensorsTensor> tensors = {
      {"a", "F32", {1}}, {"b", "F32", {1}}, {"c", "F32", {5}}, {"d", "U8", {3}}};
  auto folder = OutputDirectory::create(path("model")).value();
  auto writer = create_safetensors_directory(folder.path(), tensors, 8);
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ((*writer)->write("e", {}).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(write_all(**writer, tensors, 2).ok());
  ASSERT_TRUE((*writer)->finish().ok());
  ASSERT_TRUE(folder.finish().ok());
  EXPECT_THAT(files("model"),
              ElementsAre("model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                          "model-00003-of-00003.safetensors", "model.safetensors.index.json"));
  const auto index = nlohmann::json::parse(content(path("model/model.safetensors.index.json")));
  EXPECT_EQ(index["metadata"]["total_size"], 31);
  EXPECT_EQ(index["weight_map"]["b"], "model-00001-of-00003.safetensors");

  const auto source = open_safetensors_directory(path("model"));
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT((*source)->names(), ElementsAre("a", "b", "c", "d"));
  const TensorView c = (*source)->tensor("c").value();
  const auto wanted = pattern(20, 2);
  ASSERT_EQ(c.bytes, wanted.size());
  EXPECT_EQ(std::memcmp(c.data, wanted.data(), wanted.size()), 0);
}

TEST_F(SafetensorsWriterTest, OneFileWhenItFits) {
  const std::vector<SafetensorsTensor> tensors = {{"a", "F32", {1}}, {"b", "F32", {1}}};
  std::filesystem::create_directory(path("model"));
  auto writer = create_safetensors_directory(path("model"), tensors, 8).value();
  ASSERT_TRUE(write_all(*writer, tensors, 4).ok());
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_THAT(files("model"), ElementsAre("model.safetensors"));
}

TEST_F(SafetensorsWriterTest, ShardsThatAreNotFinishedAreRemoved) {
  const std::vector<SafetensorsTensor> tensors = {{"a", "F32", {1}}, {"b", "F32", {1}}};
  std::filesystem::create_directory(path("model"));
  auto writer = create_safetensors_directory(path("model"), tensors, 4).value();
  ASSERT_TRUE(writer->write("a", pattern(4, 0)).ok());
  EXPECT_FALSE(writer->finish().ok());
  writer.reset();
  EXPECT_THAT(files("model"), ElementsAre("model-00001-of-00002.safetensors"));
  const std::vector<SafetensorsTensor> twice = {{"a", "F32", {1}}, {"a", "F32", {1}}};
  EXPECT_THAT(std::string(create_safetensors_directory(path("model"), twice, 4).status().message()),
              HasSubstr("tensor a is listed twice"));
}

TEST_F(SafetensorsWriterTest, AWriteThatFailsLeavesNothing) {
  const std::vector<SafetensorsTensor> tensors = {{"a", "U8", {4000}}};
  {
    const FileSizeLimit limit(1000);
    const Status status = create_safetensors_file(path("a"), tensors).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path("a")));
  }
  auto writer = create_safetensors_file(path("a"), tensors).value();
  {
    const FileSizeLimit limit(1000);
    EXPECT_EQ(writer->write("a", pattern(4000, 0)).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_FALSE(writer->finish().ok());
  }
  writer.reset();
  EXPECT_THAT(files(), IsEmpty());
}

}  // namespace
}  // namespace mokume
