// Files that are wrong. None may crash, allocate what a number claims, or hand out a view beyond
// the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "gguf_builder.h"
#include "weights/gguf.h"

namespace mokume {
namespace {

using mokume::testing::ByteWriter;
using mokume::testing::GgufBuilder;
using ::testing::HasSubstr;

/// A right file with every kind of thing in it.
GgufBuilder small_file() {
  GgufBuilder builder;
  builder.text("general.architecture", "none").u32("general.alignment", 32).f32("f", 1);
  builder.texts("words", {"a", "bc"}).i32s("ints", {1, 2}).flag("flag", true);
  builder.f32_tensor("a", {3}).f32_tensor("b", {2, 2, 2});
  builder.tensor("q", {32, 2}, 8, std::vector<std::byte>(68, std::byte{1}));
  return builder;
}

/// Reads all of what an opened file offers; with AddressSanitizer this finds any view out of
/// bounds.
double touch(const GgufFile& file) {
  double sum = 0;
  for (const std::string& name : file.names()) {
    const TensorView view = file.tensor(name).value();
    for (uint64_t i = 0; i < view.bytes; ++i) sum += static_cast<double>(view.data[i]);
    std::vector<float> row(view.columns());
    for (int64_t r = 0; r < view.rows(); ++r) dequantize_row(view, r, row);
  }
  return sum;
}

TEST(HostileGguf, TheSmallFileIsRight) {
  const auto file = GgufFile::from_bytes(small_file().build(), "small");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->names().size(), 3u);
  EXPECT_EQ(touch(**file), 68);
}

TEST(HostileGguf, Version2IsReadToo) {
  GgufBuilder builder = small_file();
  builder.version_ = 2;
  EXPECT_EQ(GgufFile::from_bytes(builder.build(), "small").value()->version(), 2u);
}

TEST(HostileGguf, TruncatedAtEveryByte) {
  const std::vector<std::byte> whole = small_file().build();
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto file = GgufFile::from_bytes({whole.begin(), whole.begin() + size}, "cut");
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
}

TEST(HostileGguf, EveryBitFlipped) {
  const std::vector<std::byte> whole = small_file().build();
  int opened = 0;
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::vector<std::byte> bytes = whole;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto file = GgufFile::from_bytes(std::move(bytes), "flipped");
    if (!file.ok()) continue;
    ++opened;
    touch(**file);
  }
  // Flips in tensor data and names leave a right file; at least the data's 68 + 44 bytes do.
  EXPECT_GE(opened, (68 + 44) * 8);
}

struct Wrong {
  const char* name;
  std::function<void(GgufBuilder&)> make;
  const char* message;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

class WrongGguf : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongGguf, IsRefusedWithAReason) {
  GgufBuilder builder = small_file();
  GetParam().make(builder);
  const auto file = GgufFile::from_bytes(builder.build(), "wrong.gguf");
  ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("(wrong.gguf, byte "));
}

constexpr uint64_t kHuge = uint64_t{1} << 60;

ByteWriter huge_array(uint32_t type) { return ByteWriter().number(type).number(kHuge); }

INSTANTIATE_TEST_SUITE_P(
    All, WrongGguf,
    ::testing::Values(
        Wrong{"Magic", [](auto& b) { b.magic_ = 0x47475546; }, "not a GGUF file"},
        Wrong{"Version1", [](auto& b) { b.version_ = 1; }, "version 1; supported are 2 and 3"},
        Wrong{"Version4", [](auto& b) { b.version_ = 4; }, "version 4"},
        Wrong{"BigEndian", [](auto& b) { b.version_ = 3u << 24; }, "big-endian"},
        Wrong{"Tensors", [](auto& b) { b.tensor_count_ = kHuge; }, "number of tensors is 11529"},
        Wrong{"Keys", [](auto& b) { b.key_count_ = kHuge; }, "number of metadata keys is 11529"},
        Wrong{"KeyTwice", [](auto& b) { b.u32("f", 1); }, "key f is in the file twice"},
        Wrong{"EmptyKey", [](auto& b) { b.u32("", 1); }, "printable"},
        Wrong{"KeyWithEscape", [](auto& b) { b.u32("\x1b[2J", 1); }, "printable"},
        Wrong{"Bool2", [](auto& b) { b.key("x", 7, ByteWriter().number<uint8_t>(2)); }, "0 or 1"},
        Wrong{"Type13", [](auto& b) { b.key("x", 13, ByteWriter()); }, "value type 13"},
        Wrong{"LongString", [](auto& b) { b.key("x", 8, ByteWriter().number(kHuge)); },
              "at most 67108864"},
        Wrong{"StringBeyondFile",
              [](auto& b) { b.key("x", 8, ByteWriter().template number<uint64_t>(5000)); },
              "the file ends inside x"},
        Wrong{"LongBytes", [](auto& b) { b.key("x", 9, huge_array(0)); }, "length of x is 11529"},
        Wrong{"LongTexts", [](auto& b) { b.key("x", 9, huge_array(8)); }, "length of x is 11529"},
        Wrong{"Nested", [](auto& b) { b.key("x", 9, huge_array(9)); }, "array of arrays"}),
    [](const auto& test) { return std::string(test.param.name); });

INSTANTIATE_TEST_SUITE_P(
    Tensors, WrongGguf,
    ::testing::Values(
        Wrong{"NameTwice", [](auto& b) { b.tensors_[1].name = "a"; }, "tensor a is in the file"},
        Wrong{"NoName", [](auto& b) { b.tensors_[1].name = ""; }, "printable"},
        Wrong{"LongName", [](auto& b) { b.tensors_[1].name.assign(256, 'x'); }, "at most 255"},
        Wrong{"Rank0", [](auto& b) { b.tensors_[0].dims = {}; }, "rank 0; must be 1 to 4"},
        Wrong{"Rank5",
              [](auto& b) {
                b.tensors_[0].dims = {1, 1, 1, 1, 1};
              },
              "rank 5"},
        Wrong{"Dim0", [](auto& b) { b.tensors_[0].dims = {0}; }, "dimension of 0"},
        Wrong{"DimHuge", [](auto& b) { b.tensors_[0].dims = {kHuge}; }, "dimension of 11529"},
        Wrong{"Product",
              [](auto& b) {
                b.tensors_[0].dims = {1ull << 40, 1ull << 40};
              },
              "larger than 2^64"},
        Wrong{"Type4", [](auto& b) { b.tensors_[0].type = 4; }, "tensor a is of type 4;"},
        Wrong{"TypeHuge", [](auto& b) { b.tensors_[0].type = ~0u; }, "type 4294967295"},
        Wrong{"PartOfABlock", [](auto& b) { b.tensors_[2].dims = {33}; }, "multiples of 32"},
        Wrong{"Offset", [](auto& b) { b.tensors_[2].offset += 8; }, "must be a multiple of 32"},
        Wrong{"OffsetHuge", [](auto& b) { b.tensors_[2].offset = ~0ull - 31; }, "reaches beyond"},
        Wrong{"Beyond",
              [](auto& b) {
                b.tensors_[2].dims = {32, 3};
              },
              "reaches beyond the"},
        Wrong{"Overlap", [](auto& b) { b.tensors_[1].offset = 0; }, "tensors a and b overlap"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(HostileGguf, Alignment) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 131072u, 0x80000000u}) {
    GgufBuilder builder;
    builder.u32("general.alignment", alignment);
    const auto file = GgufFile::from_bytes(builder.build(), "aligned");
    EXPECT_THAT(std::string(file.status().message()), HasSubstr("general.alignment")) << alignment;
  }
  GgufBuilder builder;
  builder.alignment_ = 64;
  builder.u32("general.alignment", 64).f32_tensor("a", {1}).f32_tensor("b", {1});
  EXPECT_TRUE(GgufFile::from_bytes(builder.build(), "aligned").ok());
  builder.tensors_[1].offset = 32;
  EXPECT_FALSE(GgufFile::from_bytes(builder.build(), "aligned").ok());
}

}  // namespace
}  // namespace mokume
