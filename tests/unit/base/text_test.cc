#include "base/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace mokume {
namespace {

TEST(EditDistance, CountsEditsAndIgnoresCase) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("memroy", "memory"), 1);
  EXPECT_EQ(edit_distance("THREADS", "threads"), 0);
}

TEST(Nearest, FindsTheLikelyWordOrNone) {
  const std::vector<std::string> words = {"threads", "name", "kind", "cores"};
  EXPECT_EQ(nearest("thread", words), "threads");
  EXPECT_EQ(nearest("nmae", words), "name");
  EXPECT_EQ(nearest("core", words), "cores");
  EXPECT_EQ(nearest("listen", words), std::nullopt);
  EXPECT_EQ(nearest("", words), std::nullopt);
  EXPECT_EQ(nearest(std::string(100000, 't'), words), std::nullopt);
  EXPECT_EQ(nearest("a", {}), std::nullopt);
}

TEST(Quote, EscapesAndCuts) {
  EXPECT_EQ(quote("plain é"), "\"plain é\"");
  EXPECT_EQ(quote("a\"b\\c"), "\"a\\\"b\\\\c\"");
  EXPECT_EQ(quote("a\nb\x1B"), "\"a\\x0ab\\x1b\"");
  EXPECT_EQ(quote("\xFF\xC3"), "\"\\xff\\xc3\"");
  EXPECT_EQ(quote(std::string(1000, 'x')), "\"" + std::string(63, 'x') + "...\"");
}

TEST(ParseInteger, TakesWholeDecimalNumbersOnly) {
  EXPECT_EQ(parse_integer<int>("42"), 42);
  EXPECT_EQ(parse_integer<int>("+42"), 42);
  EXPECT_EQ(parse_integer<int>("-42"), -42);
  EXPECT_EQ(parse_integer<uint16_t>("65535"), 65535);
  EXPECT_EQ(parse_integer<uint16_t>("65536"), std::nullopt);
  EXPECT_EQ(parse_integer<uint16_t>("-1"), std::nullopt);
  for (const char* wrong : {"", "+", "-", "+-1", "1 ", " 1", "0x1", "1.0", "1e3"}) {
    EXPECT_EQ(parse_integer<int>(wrong), std::nullopt) << wrong;
  }
}

TEST(Bytes, AreFormatted) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(uint64_t{3} << 29), "1.5 GiB");
  EXPECT_EQ(format_bytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(std::numeric_limits<uint64_t>::max()), "16.0 EiB");
}

TEST(Bytes, AreParsed) {
  EXPECT_EQ(*parse_bytes("8MiB"), 8u << 20);
  EXPECT_EQ(*parse_bytes("512 MB"), 512'000'000u);
  EXPECT_EQ(*parse_bytes("  1gib "), 1u << 30);
  EXPECT_EQ(*parse_bytes("7"), 7u);
  EXPECT_EQ(*parse_bytes("2kB"), 2000u);
  EXPECT_EQ(*parse_bytes("3TiB"), uint64_t{3} << 40);
  EXPECT_EQ(*parse_bytes("18446744073709551615"), std::numeric_limits<uint64_t>::max());
}

TEST(Bytes, WrongSizesAreErrors) {
  for (const char* wrong : {"", "MiB", "-1", "+1", "1.5GiB", "8M", "8 MiB x", "0x10", "1e9"}) {
    EXPECT_FALSE(parse_bytes(wrong).ok()) << wrong;
  }
  EXPECT_EQ(
      parse_bytes("8M").status().message(),
      "\"8M\" is not a size; write a whole number with a unit, such as 8MiB, 512MB or 1073741824");
  EXPECT_EQ(parse_bytes("18446744073709551616").status().message(),
            "\"18446744073709551616\" is too large a size");
  EXPECT_EQ(parse_bytes("16777216TiB").status().message(), "\"16777216TiB\" is too large a size");
}

TEST(Text, TrimsJoinsAndCompares) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
  const std::vector<std::string> parts = {"a", "b"};
  EXPECT_EQ(join(parts, ", "), "a, b");
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_TRUE(equal_ignoring_case("MiB", "mib"));
  EXPECT_FALSE(equal_ignoring_case("MiB", "mi"));
}

}  // namespace
}  // namespace mokume
