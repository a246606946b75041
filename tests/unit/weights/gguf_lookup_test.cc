#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "gguf_builder.h"
#include "weights/gguf.h"

namespace mokume {
namespace {

using mokume::testing::ByteWriter;
using mokume::testing::GgufBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::shared_ptr<GgufFile> all_types() {
  GgufBuilder builder;
  builder.key("u8", 0, ByteWriter().number<uint8_t>(200));
  builder.key("i8", 1, ByteWriter().number<int8_t>(-5));
  builder.key("u16", 2, ByteWriter().number<uint16_t>(65535));
  builder.key("i16", 3, ByteWriter().number<int16_t>(-300));
  builder.u32("u32", 4000000000u);
  builder.key("i32", 5, ByteWriter().number<int32_t>(-70000));
  builder.f32("f32", 0.5f).flag("yes", true).text("text", "a\nb");
  builder.key("u64", 10, ByteWriter().number(std::numeric_limits<uint64_t>::max()));
  builder.key("i64", 11, ByteWriter().number(std::numeric_limits<int64_t>::min()));
  builder.key("f64", 12, ByteWriter().number(0.1));
  builder.f32("nan", std::numeric_limits<float>::quiet_NaN());
  builder.texts("texts", {"x", "", "yz"}).i32s("ints", {3, -1});
  auto file = GgufFile::from_bytes(builder.build(), "memory");
  EXPECT_TRUE(file.ok()) << file.status();
  return file.value_or(nullptr);
}

TEST(GgufLookup, EveryValueType) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  const auto file = all_types();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->get_int("u8", kMin, kMax).value(), 200);
  EXPECT_EQ(file->get_int("i8", kMin, kMax).value(), -5);
  EXPECT_EQ(file->get_int("u16", kMin, kMax).value(), 65535);
  EXPECT_EQ(file->get_int("i16", kMin, kMax).value(), -300);
  EXPECT_EQ(file->get_int("u32", kMin, kMax).value(), 4000000000);
  EXPECT_EQ(file->get_int("i32", kMin, kMax).value(), -70000);
  EXPECT_EQ(file->get_int("i64", kMin, kMax).value(), kMin);
  EXPECT_EQ(file->get_float("f32", 0, 1).value(), 0.5);
  EXPECT_EQ(file->get_float("f64", 0, 1).value(), 0.1);
  EXPECT_TRUE(file->get_bool("yes").value());
  EXPECT_EQ(file->get_string("text").value(), "a\nb");
  EXPECT_THAT(file->get_strings("texts").value(), ElementsAre("x", "", "yz"));
  EXPECT_THAT(file->get_ints("ints").value(), ElementsAre(3, -1));
}

TEST(GgufLookup, BoundsHoldOnBothSides) {
  const auto file = all_types();
  EXPECT_EQ(file->get_int("u8", 200, 200).value(), 200);
  const Status above = file->get_int("u8", 1, 199).status();
  EXPECT_EQ(above.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(above.message(), "[weights] u8 is 200; must be 1 to 199 (memory)");
  EXPECT_FALSE(file->get_int("u8", 201, 300).ok());
  EXPECT_FALSE(file->get_int("u64", 0, std::numeric_limits<int64_t>::max()).ok());
  EXPECT_FALSE(file->get_int("i8", -4, 4).ok());
  EXPECT_FALSE(file->get_float("f32", 0.6, 1).ok());
  EXPECT_FALSE(file->get_float("nan", 0, 1).ok());
}

TEST(GgufLookup, AnotherTypeIsNoConversion) {
  const auto file = all_types();
  for (const std::string key : {"yes", "text", "f32", "ints"}) {
    const Status status = file->get_int(key, -9, 9).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_THAT(std::string(status.message()), HasSubstr(str_cat(key, " must be an integer")));
  }
  EXPECT_FALSE(file->get_bool("u8").ok());
  EXPECT_FALSE(file->get_string("texts").ok());
  EXPECT_FALSE(file->get_ints("texts").ok());
  EXPECT_EQ(file->get_ints("none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace mokume
