#include "base/log.h"

#include <gtest/gtest.h>

#include <regex>

namespace mokume {
namespace {

class Log : public testing::Test {
 protected:
  void TearDown() override { ASSERT_TRUE(init_logging("info", "text").ok()); }
};

std::string logged(const std::string& level, const std::string& format,
                   const std::string& message) {
  EXPECT_TRUE(init_logging(level, format).ok());
  testing::internal::CaptureStderr();
  log().warn("{}", message);
  return testing::internal::GetCapturedStderr();
}

TEST_F(Log, TextLines) {
  const std::string line = logged("info", "text", "serving é");
  const std::regex wanted(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warn  serving é\n)");
  EXPECT_TRUE(std::regex_match(line, wanted)) << line;
}

TEST_F(Log, AMessageCannotForgeALine) {
  const std::string line = logged("info", "text", "a\n2026 error b\x1B[0m");
  EXPECT_NE(line.find("a\\x0a2026 error b\\x1b[0m\n"), std::string::npos) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST_F(Log, JsonLines) {
  const std::string line = logged("info", "json", "a \"b\" \\ \n\x01 é \xFF");
  const std::string time = R"(\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",)";
  EXPECT_TRUE(std::regex_search(line, std::regex("^" + time))) << line;
  EXPECT_EQ(
      line.substr(line.find(",\"level\"")),
      ",\"level\":\"warn\",\"message\":\"a \\\"b\\\" \\\\ \\u000a\\u0001 é \xEF\xBF\xBD\"}\n");
}

TEST_F(Log, LevelsBelowAreSilent) {
  EXPECT_EQ(logged("error", "text", "x"), "");
  EXPECT_EQ(logged("off", "json", "x"), "");
  EXPECT_NE(logged("trace", "text", "x"), "");
}

TEST_F(Log, WrongSettingsAreErrors) {
  EXPECT_EQ(init_logging("loud", "text").message(),
            "[log] the level is \"loud\"; use trace, debug, info, warn, error or off");
  EXPECT_EQ(init_logging("critical", "text").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(init_logging("info", "xml").message(), "[log] the format is \"xml\"; use text or json");
}

}  // namespace
}  // namespace mokume
