#include "weights/json_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mokume {
namespace {

using ::testing::HasSubstr;

JsonConfig parse(const std::string& text) {
  auto config = JsonConfig::from_text(text, "config.json");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.value_or(JsonConfig());
}

TEST(JsonConfig, FlattensAndChecks) {
  const JsonConfig config = parse(
      R"({"layers": 4, "rope": {"theta": 1e4, "type": "yarn"}, "tied": true, "none": null,
          "ids": [7, 8], "kinds": ["a", "b"], "nested": [{"x": 1}]})");
  EXPECT_EQ(config.get_int("layers", 1, 4).value(), 4);
  EXPECT_EQ(config.get_float("layers", 1, 4).value(), 4.0);
  EXPECT_EQ(config.get_float("rope.theta", 1, 1e6).value(), 10000.0);
  EXPECT_EQ(config.get_string("rope.type").value(), "yarn");
  EXPECT_TRUE(config.get_bool("tied").value());
  EXPECT_FALSE(config.has("none"));
  EXPECT_TRUE(config.is_null("none"));
  EXPECT_FALSE(config.is_null("gone"));
  EXPECT_EQ(config.get_int("none", 0, 9).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(config.get_int("ids.1", 0, 9).value(), 8);
  EXPECT_EQ(config.get_int("nested.0.x", 0, 9).value(), 1);
  EXPECT_TRUE(config.has("kinds"));
}

TEST(JsonConfig, ErrorsNameKeyAndFile) {
  const JsonConfig config = parse(R"({"n": 5, "t": "x", "huge": 18446744073709551615})");
  EXPECT_EQ(config.get_int("n", 1, 4).status().message(),
            "[weights] n is 5; must be 1 to 4 (config.json)");
  EXPECT_EQ(config.get_int("t", 1, 4).status().message(),
            "[weights] t must be an integer (config.json)");
  EXPECT_FALSE(config.get_int("huge", 1, 4).ok());
  EXPECT_FALSE(config.get_float("huge", 1, 4).ok());
  EXPECT_FALSE(config.get_bool("n").ok());
  EXPECT_EQ(config.get_float("gone", 0, 1).status().code(), absl::StatusCode::kNotFound);
}

TEST(JsonConfig, AGroupIsSettingsOfItsOwn) {
  const JsonConfig config =
      parse(R"({"text": {"n": 5, "rope": {"theta": 2}}, "text_n": 6, "n": 7, "text2": {"n": 8}})");
  const JsonConfig group = config.group("text");
  EXPECT_EQ(group.values().size(), 2u);
  EXPECT_EQ(group.get_int("rope.theta", 0, 9).value(), 2);
  EXPECT_EQ(group.get_int("n", 0, 4).status().message(),
            "[weights] n is 5; must be 0 to 4 (config.json, text)");
  EXPECT_TRUE(config.group("n").values().empty());
  EXPECT_TRUE(config.group("none").values().empty());
}

TEST(JsonConfig, RefusesWhatIsNoObject) {
  for (const std::string text :
       {"", "[]", "3", "{", "{\"a\":}", "{\"a\":1e999}", "{\"\xff\":1}", "{\"a\":1}x"}) {
    const Status status = JsonConfig::from_text(text, "config.json").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr("(config.json)")) << text;
  }
  const std::string deep = "{\"a\":" + std::string(1'000'000, '[');
  EXPECT_THAT(std::string(JsonConfig::from_text(deep, "deep").status().message()),
              HasSubstr("nests deeper than"));
  const std::string long_text((16 << 20) + 1, ' ');
  EXPECT_THAT(std::string(JsonConfig::from_text(long_text, "long").status().message()),
              HasSubstr("at most 16777216"));
}

}  // namespace
}  // namespace mokume
