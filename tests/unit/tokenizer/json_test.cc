#include "tokenizer/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mokume {
namespace {

using ::testing::HasSubstr;

std::string error_of(std::string_view text, const JsonLimits& limits = {}) {
  const auto parsed = parse_json(text, "the body", limits);
  return parsed.ok() ? "accepted" : std::string(parsed.status().message());
}

TEST(Json, KeepsValuesAndOrder) {
  const std::string text = R"({"b":[1,-2,3.5,true,null,"x"],"a":{"c":{}}})";
  const auto parsed = parse_json(text, "it");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(dump_json(*parsed), text);
}

TEST(Json, Scalars) {
  EXPECT_EQ(*parse_json("3", "it"), 3);
  EXPECT_EQ(*parse_json(" \"x\" ", "it"), "x");
}

TEST(Json, SyntaxErrorsHaveTheirPlace) {
  EXPECT_THAT(error_of("{\n \"a\": }"), HasSubstr("line 2, column 7"));
  EXPECT_THAT(error_of(""), HasSubstr("the body is not acceptable JSON"));
  EXPECT_NE(error_of("{\"a\":1} x"), "accepted");
  EXPECT_NE(error_of("[1,]"), "accepted");
  EXPECT_NE(error_of("NaN"), "accepted");
  EXPECT_NE(error_of("\"\xff\""), "accepted");
  EXPECT_NE(error_of("\"\\ud800\""), "accepted");
  EXPECT_NE(error_of("1e999"), "accepted");
}

TEST(Json, ErrorsAreShort) {
  EXPECT_LT(error_of("[\"" + std::string(100'000, 'x')).size(), 400u);
  EXPECT_LT(
      error_of("{\"" + std::string(100'000, 'k') + "\":1,\"" + std::string(100'000, 'k') + "\":1}")
          .size(),
      400u);
}

TEST(Json, DuplicateKeys) {
  EXPECT_THAT(error_of(R"({"a":1,"b":2,"a":3})"), HasSubstr("the key \"a\" occurs twice"));
  EXPECT_EQ(error_of(R"({"a":{"a":1},"b":{"a":2}})"), "accepted");
}

TEST(Json, DepthIsBounded) {
  EXPECT_EQ(error_of(std::string(64, '[') + std::string(64, ']')), "accepted");
  EXPECT_THAT(error_of(std::string(65, '[') + std::string(65, ']')), HasSubstr("deeper than 64"));
  EXPECT_THAT(error_of(std::string(5'000'000, '[')), HasSubstr("deeper than 64"));
}

TEST(Json, CountsAreBounded) {
  JsonLimits limits;
  limits.max_values = 4;
  limits.max_keys = 2;
  EXPECT_EQ(error_of("[1,2,3]", limits), "accepted");
  EXPECT_THAT(error_of("[1,2,3,4]", limits), HasSubstr("more than 4 values"));
  EXPECT_THAT(error_of(R"({"a":1,"b":1,"c":1})", limits), HasSubstr("more than 2 keys"));
}

}  // namespace
}  // namespace mokume
