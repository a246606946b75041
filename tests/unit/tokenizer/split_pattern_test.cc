#include "tokenizer/split_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tokenizer/pre_tokenizer.h"

namespace mokume {
namespace {

using ::testing::HasSubstr;
using Pieces = std::vector<std::string_view>;

Result<std::unique_ptr<const PreTokenizer>> by(const std::string& pattern, bool keeps_gaps = true) {
  return PreTokenizer::create(Splitting{{{pattern, keeps_gaps}}});
}

Pieces split(const std::string& pattern, std::string_view text) {
  return by(pattern).value()->split(text).value();
}

TEST(SplitPattern, MeansWhatOnigurumaMeans) {
  // As tokenizers 0.23.3 splits (Split, "isolated").
  EXPECT_EQ(split(R"(^a)", "b\na\na"), (Pieces{"b\n", "a", "\n", "a"}));
  EXPECT_EQ(split(R"(a.b)", "a\nba\rb"), (Pieces{"a\nb", "a\rb"}));
  EXPECT_EQ(split(R"((?i)k)", "xK\u212A"), (Pieces{"x", "K", "\u212A"}));
  EXPECT_EQ(split(R"([\]a]+)", "aaa ]]]"), (Pieces{"aaa", " ", "]]]"}));
  EXPECT_EQ(split(R"(x{)", "a x{ b"), (Pieces{"a ", "x{", " b"}));
  EXPECT_EQ(split(R"(\v)", "a\vb\nc"), (Pieces{"a", "\v", "b\nc"}));
  EXPECT_EQ(split(R"(\w+)", "a_1\u00BD\u00E9\u203F\u00B2 \u24B6-\u09F4"),
            (Pieces{"a_1\u00BD\u00E9\u203F\u00B2", " ", "\u24B6", "-\u09F4"}));
  EXPECT_EQ(split(R"((?i:'s))", "it'\u017F"), (Pieces{"it", "'\u017F"}));
  EXPECT_EQ(split(R"(\u00e9|\x{1F600}|\x41)", "a\u00E9A\U0001F600"),
            (Pieces{"a", "\u00E9", "A", "\U0001F600"}));
  EXPECT_EQ(split(R"((a)(b){2}(?<=b)c?)", "xabbcy"), (Pieces{"x", "abbc", "y"}));
  EXPECT_EQ(split(R"(a{2,3}?|b{,2}c)", "aaaabbbc"), (Pieces{"aa", "aa", "b", "bbc"}));
}

TEST(SplitPattern, DropsGapsWhereTold) {
  EXPECT_EQ(by("[a-c]+", false).value()->split("ab-c--a").value(), (Pieces{"ab", "c", "a"}));
}

TEST(SplitPattern, RefusesWhatMeansSomethingElse) {
  for (const char* pattern :
       {R"((a)\1)",  R"(\h+)",    R"(\bx)",     R"([a-z&&[^b]])", R"([[:alpha:]])",    R"((?<n>a))",
        R"((?m:a))", R"(a(?i)b)", R"((*UTF)a)", R"(a{2}+)",       R"(a{5000})",        R"([]a])",
        R"(\K)",     R"(\R)",     R"(\X)",      R"(\g<1>)",       R"(\p{Script=Han})", R"(\pL)",
        R"(\xZ1)",   R"(a*)",     R"([a)",      R"(a\)"}) {
    const auto status = by(pattern).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << pattern << ": " << status;
  }
  for (const std::string& pattern :
       {std::string("(a"), std::string("a)"), std::string("+"), std::string(), std::string("\xFF"),
        std::string("[z-a]"), std::string("\\p{Nonsense}"), std::string(20000, 'a')}) {
    const auto status = by(pattern).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << pattern.substr(0, 20);
  }
}

/// Each of these tries far more than the text has bytes: its square, or without end.
TEST(SplitPattern, HostilePatternsStopSoon) {
  const std::string many(size_t{1} << 18, 'a');
  for (const char* pattern :
       {"(?:a+)+[bc]", "(?:a|a)+b", "a+b", "(?:(?=a*c)a)+", "(?:a*a*a*a*a*)*b", ".*.*.*.*x",
        "(?=.*b)", "(?:(?:(?:a?){90}){90}){9}b", "a+?b", "(?<=b)a|[^b]+b", "(?:[^c]*c|a*)b"}) {
    const auto splitter = by(pattern);
    if (!splitter.ok()) continue;  // may be refused as well
    const auto pieces = (*splitter)->split(many);
    if (!pieces.ok()) {
      EXPECT_EQ(pieces.status().code(), absl::StatusCode::kResourceExhausted) << pattern;
    }
  }
  const auto status = by("(?:a+)+[bc]").value()->split(many).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

TEST(SplitPattern, HonestPatternsStayFarBelowTheBound) {
  // Mistral's and OpenAI's newer ones, on the runs that cost most.
  const std::string pattern =
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
      R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
      R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const auto splitter = by(pattern).value();
  for (std::string_view unit : {" ", "\n", " \n", "a", "A", "aA", "漢", "!", "1", "' ", "\u0301"}) {
    std::string text;
    while (text.size() < size_t{1} << 18) text += unit;
    for (std::string_view end : {"", "x", "\n", "!"}) {
      EXPECT_TRUE(splitter->split(text + std::string(end)).ok()) << unit << end;
    }
  }
}

TEST(SplitPattern, TooManyRulesAreAnError) {
  const Splitting many{std::vector<SplitRule>(17, SplitRule{"a"})};
  EXPECT_THAT(std::string(PreTokenizer::create(many).status().message()), HasSubstr("at most 16"));
}

}  // namespace
}  // namespace mokume
