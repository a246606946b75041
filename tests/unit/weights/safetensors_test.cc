#include "weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "safetensors_builder.h"

namespace mokume {
namespace {

using mokume::testing::f32_entry;
using mokume::testing::safetensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Every kind of thing that may be in a file.
const std::string kHeader = R"({"__metadata__":{"format":"pt"},)"
                            R"("b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},)"
                            R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                            R"("h":{"dtype":"F16","shape":[],"data_offsets":[20,22]},)"
                            R"("ids":{"dtype":"I64","shape":[1],"data_offsets":[22,30]},)"
                            R"("none":{"dtype":"F32","shape":[0,4],"data_offsets":[30,30]},)"
                            R"("new":{"dtype":"F4","shape":[4],"data_offsets":[30,32]}}  )";

/// Reads all of what an opened file offers; with AddressSanitizer this finds any view out of
/// bounds.
int touch(const WeightSource& file) {
  int views = 0;
  for (const std::string& name : file.names()) {
    const Result<TensorView> view = file.tensor(name);
    if (!view.ok()) continue;
    ++views;
    EXPECT_EQ(row_bytes(view->dtype, view->columns()).value() * view->rows(), view->bytes);
    std::vector<float> row(view->columns());
    for (int64_t r = 0; r < view->rows(); ++r) dequantize_row(*view, r, row);
  }
  return views;
}

TEST(Safetensors, ReadsWhatIsThere) {
  const auto file = SafetensorsFile::from_bytes(safetensors(kHeader, 32), "small");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT((*file)->names(), ElementsAre("a", "b", "h", "ids", "none", "new"));
  EXPECT_EQ(to_string((*file)->tensor("a").value()), "[2] F32");
  const TensorView b = (*file)->tensor("b").value();
  EXPECT_EQ(to_string(b), "[2, 3] BF16");
  EXPECT_EQ(b.data[0], std::byte{9});
  EXPECT_EQ(to_string((*file)->tensor("h").value()), "[1] F16");
  EXPECT_EQ(touch(**file), 3);
}

TEST(Safetensors, RefusesWhatItCannotComputeWithWhenAsked) {
  const auto file = SafetensorsFile::from_bytes(safetensors(kHeader, 32), "small").value();
  EXPECT_EQ(file->tensor("x").status().message(), "[weights] no tensor x (small)");
  EXPECT_EQ(file->tensor("ids").status().message(),
            "[weights] tensor ids is of type I64; "
            "supported are F32, F16, BF16, I8, F8_E4M3, U8 and I32 (small)");
  EXPECT_THAT(std::string(file->tensor("new").status().message()), HasSubstr("of type F4"));
  EXPECT_THAT(std::string(file->tensor("none").status().message()), HasSubstr("a dimension"));
}

TEST(Safetensors, TypesThatNeedScales) {
  const auto file = SafetensorsFile::from_bytes(
      safetensors(R"({"i":{"dtype":"I8","shape":[1,2],"data_offsets":[0,2]},)"
                  R"("f":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[2,4]},)"
                  R"("u":{"dtype":"U8","shape":[2,1],"data_offsets":[4,6]},)"
                  R"("p":{"dtype":"I32","shape":[1,1],"data_offsets":[6,10]}})",
                  10),
      "small");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(to_string((*file)->tensor("i").value()), "[1, 2] I8");
  EXPECT_EQ(to_string((*file)->tensor("f").value()), "[2] F8_E4M3");
  EXPECT_EQ(to_string((*file)->tensor("u").value()), "[2, 2] E2M1");
  EXPECT_EQ(to_string((*file)->tensor("p").value()), "[1, 4] I8+128");
  EXPECT_EQ(touch(**file), 4);
  std::vector<float> row(2), four(4);
  dequantize_row((*file)->tensor("u").value(), 1, row);  // byte 6
  EXPECT_THAT(row, ElementsAre(4, 0));
  dequantize_row((*file)->tensor("p").value(), 0, four);  // bytes 7 to 10
  EXPECT_THAT(four, ElementsAre(7 - 128, 8 - 128, 9 - 128, 10 - 128));
}

TEST(Safetensors, IntegersOfAFewElements) {
  const auto file = SafetensorsFile::from_bytes(
      safetensors(R"({"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},)"
                  R"("b":{"dtype":"F64","shape":[2],"data_offsets":[16,32]},)"
                  R"("c":{"dtype":"I64","shape":[17],"data_offsets":[32,168]}})",
                  168),
      "small");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT((*file)->integers("a").value(), ElementsAre(0x0807060504030201, 0x100f0e0d0c0b0a09));
  EXPECT_THAT(std::string((*file)->integers("b").status().message()),
              HasSubstr("tensor b must be I64 of at most 16 elements (small)"));
  EXPECT_FALSE((*file)->integers("c").ok());
  EXPECT_EQ((*file)->integers("d").status().code(), absl::StatusCode::kNotFound);
}

TEST(HostileSafetensors, TruncatedAtEveryByte) {
  const std::vector<std::byte> whole = safetensors(kHeader, 32);
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto file = SafetensorsFile::from_bytes({whole.begin(), whole.begin() + size}, "cut");
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(HostileSafetensors, EveryBitFlipped) {
  const std::vector<std::byte> whole = safetensors(kHeader, 32);
  int opened = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<std::byte> bytes = whole;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto file = SafetensorsFile::from_bytes(std::move(bytes), "flipped");
    if (!file.ok()) continue;
    ++opened;
    touch(**file);
  }
  EXPECT_GE(opened, 32 * 8);  // flips of data
}

struct Wrong {
  const char* name;
  std::string header;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongSafetensors : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongSafetensors, IsRefusedWithAReason) {
  const Status status =
      SafetensorsFile::from_bytes(safetensors(GetParam().header, 8), "wrong").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), HasSubstr("(wrong)"));
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

INSTANTIATE_TEST_SUITE_P(
    Headers, WrongSafetensors,
    ::testing::Values(
        Wrong{"Space", " {}", "must start with {"}, Wrong{"Array", "[]", "must start with {"},
        Wrong{"Open", "{", "no JSON at its byte"}, Wrong{"Twice", "{}{}", "no JSON at its byte"},
        Wrong{"Empty", "{}", "tensors end at byte 0 of 8"},
        Wrong{"Number", R"({"t":1})", "a number where a tensor's"},
        Wrong{"Null", R"({"t":null})", "null where a tensor's"},
        Wrong{"Deep", R"({"t":{"dtype":{"dtype":"F32"}}})", "an object where"},
        Wrong{"DeepShape", one("F32", "[[2]]", "[0,8]"), "an array where"},
        Wrong{"NoShape", R"({"t":{"dtype":"F32","data_offsets":[0,8]}})", "t lacks dtype, shape"},
        Wrong{"Field", R"({"t":{"size":2}})", "tensor t has a field \"size\""},
        Wrong{"FieldTwice", R"({"t":{"dtype":"F32","dtype":"F16"}})", "t has dtype twice"},
        Wrong{"NameTwice", "{" + f32_entry("t", 0) + "," + f32_entry("t", 4) + "}",
              "tensor t is in the file twice"},
        Wrong{"Name", R"({"a\nb":{}})", R"("a\nb"; names are)"},
        Wrong{"NoName", R"({"":{}})", "is called \"\""},
        Wrong{"Utf8", "{\"a\xff\":{}}", "no JSON at its byte"},
        Wrong{"Metadata", R"({"__metadata__":{"a":1}})", "a number where"},
        Wrong{"Negative", one("F32", "[-2]", "[0,8]"), "a negative number"},
        Wrong{"Fraction", one("F32", "[2.0]", "[0,8]"), "no 64-bit integer"},
        Wrong{"Huge", one("F32", "[18446744073709551616]", "[0,8]"), "no 64-bit integer"},
        Wrong{"Offsets", one("F32", "[2]", "[0,8,8]"), "must have two data_offsets"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Ranges, WrongSafetensors,
    ::testing::Values(
        Wrong{"Size", one("F32", "[3]", "[0,8]"),
              "t has 8 bytes, which is not its shape times F32"},
        Wrong{"Overflow", one("F32", "[4611686018427387904,4611686018427387904]", "[0,8]"),
              "not its shape times F32"},
        // 2^62 * 4 bytes wrap around to 0, and 2 more elements to 8.
        Wrong{"Wrapped", one("F32", "[4611686018427387906]", "[0,8]"), "not its shape times F32"},
        Wrong{"Beyond", one("F32", "[4]", "[0,16]"), "data_offsets 0 to 16 in 8 bytes"},
        Wrong{"FarBeyond", one("F32", "[2]", "[18446744073709551608,18446744073709551615]"),
              "in 8 bytes of data"},
        Wrong{"Backwards", one("F32", "[2]", "[8,0]"), "data_offsets 8 to 0"},
        Wrong{"Overlap", "{" + f32_entry("a", 0) + "," + f32_entry("b", 2) + "}", "they overlap"},
        Wrong{"Same", "{" + f32_entry("a", 0) + "," + f32_entry("b", 0) + "}", "they overlap"},
        Wrong{"Hole", "{" + f32_entry("b", 4) + "}", "there is a hole"},
        Wrong{"Rest", "{" + f32_entry("a", 0) + "}", "tensors end at byte 4 of 8"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(HostileSafetensors, HeaderSizes) {
  for (const uint64_t size :
       {uint64_t{3}, uint64_t{100'000'001}, uint64_t{10} << 30, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    std::vector<std::byte> bytes = safetensors("{}", 0);
    std::memcpy(bytes.data(), &size, 8);
    const Status status = SafetensorsFile::from_bytes(bytes, "wrong").status();
    EXPECT_THAT(std::string(status.message()), HasSubstr("the header claims ")) << size;
  }
}

TEST(HostileSafetensors, DeepNestingIsNoDeepRecursion) {
  const std::string deep = "{\"a\":" + std::string(1'000'000, '[');
  EXPECT_FALSE(SafetensorsFile::from_bytes(safetensors(deep, 0), "deep").ok());
}

class Directory : public ::testing::Test {
 protected:
  Directory() { std::filesystem::create_directories(path_); }
  ~Directory() override { std::filesystem::remove_all(path_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  void write_shard(const std::string& name, const std::string& tensor) {
    const auto bytes = safetensors("{" + f32_entry(tensor, 0) + "}", 4);
    write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  void write_index(const std::string& map) {
    write("model.safetensors.index.json",
          R"({"metadata":{"total_size":8},"weight_map":)" + map + "}");
  }
  std::string open_error() {
    return std::string(open_safetensors_directory(path_.string()).status().message());
  }

  const std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      ("shards-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
};

TEST_F(Directory, OneFile) {
  write_shard("model.safetensors", "a.weight");
  const auto source = open_safetensors_directory(path_.string());
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT((*source)->names(), ElementsAre("a.weight"));
}

TEST_F(Directory, Shards) {
  write_shard("1.safetensors", "a.weight");
  write_shard("2.safetensors", "b.weight");
  write_index(R"({"a.weight":"1.safetensors","b.weight":"2.safetensors"})");
  const auto source = open_safetensors_directory(path_.string());
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT((*source)->names(), ElementsAre("a.weight", "b.weight"));
  EXPECT_EQ((*source)->tensor("b.weight")->data[3], std::byte{4});
  EXPECT_FALSE((*source)->contains("c"));
  (*source)->release(*(*source)->tensor("b.weight"));
}

TEST_F(Directory, WhatIsMissingIsNamed) {
  EXPECT_THAT(open_error(), HasSubstr("model.safetensors)"));
  write_shard("1.safetensors", "a.weight");
  write_index(R"({"a.weight":"1.safetensors","b.weight":"2.safetensors"})");
  EXPECT_THAT(open_error(), HasSubstr("2.safetensors)"));
  write_index(R"({"a.weight":"1.safetensors","c.weight":"1.safetensors"})");
  EXPECT_THAT(open_error(), HasSubstr("tensor c.weight is not in "));
}

TEST_F(Directory, ATensorInTwoShardsOrInNoList) {
  write_shard("1.safetensors", "a.weight");
  write_shard("2.safetensors", "a.weight");
  write_index(R"({"a.weight":"1.safetensors","b.weight":"2.safetensors"})");
  EXPECT_THAT(open_error(), HasSubstr("tensor a.weight is in "));
  write_shard("2.safetensors", "c.weight");
  EXPECT_THAT(open_error(), HasSubstr("does not list it"));
}

TEST_F(Directory, IndexesThatAreWrong) {
  for (const std::string map :
       {"{}", "[]", "3", R"({"a":3})", R"({"a":null})", R"({"a":"../1.safetensors"})",
        R"({"a":"/etc/passwd"})", R"({"a":""})", R"({"a":{"b":["c"]}})", "{"}) {
    write_index(map);
    EXPECT_THAT(open_error(), HasSubstr("model.safetensors.index.json)")) << map;
  }
}

}  // namespace
}  // namespace mokume
