// The interpreter against what Jinja itself made of the same templates (tests/data/chat_templates).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tokenizer/chat_template.h"

namespace mokume {
namespace {

constexpr int64_t kNow = 1'765'432'100;  // as make_cases.py has it

TEST(ChatTemplateCases, PrintAsJinjaDoes) {
  setenv("TZ", "UTC", 1);
  std::ifstream file(MOKUME_SOURCE_DIR "/tests/data/chat_templates/cases.json");
  const auto cases = nlohmann::ordered_json::parse(file);
  ASSERT_GE(cases.size(), 150u);
  TemplateLimits limits;
  limits.clock = [] { return kNow; };
  for (const auto& one : cases) {
    const auto source = one["template"].get<std::string>();
    SCOPED_TRACE(one["name"].get<std::string>() + ": " + source.substr(0, 300));
    const auto parsed = ChatTemplate::parse(source);
    const bool fails = one.contains("error");
    if (!parsed.ok()) {
      EXPECT_TRUE(fails) << parsed.status();
      continue;
    }
    const auto printed = (*parsed)->render(one["context"], limits);
    if (fails) {
      EXPECT_FALSE(printed.ok()) << "printed " << *printed << " instead of failing as "
                                 << one["error"];
    } else {
      EXPECT_TRUE(printed.ok()) << printed.status();
      EXPECT_EQ(printed.value_or(""), one["output"].get<std::string>());
    }
  }
}

}  // namespace
}  // namespace mokume
