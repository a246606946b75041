#include "base/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace mokume {
namespace {

using namespace std::string_view_literals;

std::string encode_code_point(uint32_t c) {
  const auto tail = [](uint32_t bits) { return static_cast<char>(0x80 | (bits & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), tail(c)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), tail(c >> 6), tail(c)};
  return {static_cast<char>(0xF0 | c >> 18), tail(c >> 12), tail(c >> 6), tail(c)};
}

TEST(Utf8, EveryCodePointIsValidAndEverySurrogateIsNot) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    const std::string text = encode_code_point(c);
    const bool surrogate = c >= 0xD800 && c < 0xE000;
    ASSERT_EQ(find_invalid_utf8(text).has_value(), surrogate) << c;
    if (!surrogate) {
      ASSERT_EQ(replace_invalid_utf8(text), text) << c;
    }
  }
  for (uint32_t c : {0x110000u, 0x13FFFFu, 0x140000u, 0x1FFFFFu})
    EXPECT_EQ(find_invalid_utf8(encode_code_point(c)), 0u);
}

TEST(Utf8, TheOffsetIsThatOfTheFirstBadSequence) {
  EXPECT_EQ(find_invalid_utf8(""), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("plain ASCII, long enough for whole words"), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("\0"sv), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("0123456789\xFF..."), 10u);
  EXPECT_EQ(find_invalid_utf8("\xC3\xA9\xC3"), 2u);
  EXPECT_EQ(find_invalid_utf8("0123456\x80"), 7u);
}

TEST(Utf8, AMaximalSubpartBecomesOneReplacementCharacter) {
  // The example of the Unicode standard, table 3-8 and those beside it.
  EXPECT_EQ(replace_invalid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(replace_invalid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(replace_invalid_utf8("ok \xF0\x9F\x98"), "ok \uFFFD");
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
}

TEST(Utf8, EveryShortByteStringIsRepairedAndStaysWhenValid) {
  for (uint32_t bits = 0; bits < 1u << 24; bits += 7) {
    const std::string text = {static_cast<char>(bits), static_cast<char>(bits >> 8),
                              static_cast<char>(bits >> 16)};
    const std::string repaired = replace_invalid_utf8(text);
    ASSERT_EQ(find_invalid_utf8(repaired), std::nullopt) << bits;
    ASSERT_EQ(repaired == text, !find_invalid_utf8(text).has_value()) << bits;
  }
}

TEST(Utf8, DrainingByteByByteEqualsReplacing) {
  const std::string text = "a\xF0\x9F\x98\x80\xE2\x82\x41\xFF\xC3\xA9\xED\xA0\x80\xE4\xB8";
  std::string pending, out;
  for (char byte : text) {
    pending.push_back(byte);
    drain_utf8(pending, out);
    EXPECT_LE(pending.size(), 3u);
    EXPECT_EQ(find_invalid_utf8(out), std::nullopt);
  }
  EXPECT_EQ(pending, "\xE4\xB8");
  EXPECT_EQ(out + "\uFFFD", replace_invalid_utf8(text));
}

}  // namespace
}  // namespace mokume
