#include "tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

namespace mokume {
namespace {

using Pieces = std::vector<std::string_view>;

Pieces split(std::string_view name, std::string_view text) {
  return PreTokenizer::create(name).value()->split(text).value();
}

TEST(PreTokenizer, Gpt2KeepsNumbersWholeAndSpacesInFront) {
  EXPECT_EQ(split("gpt-2", ""), Pieces{});
  EXPECT_EQ(split("gpt-2", "Hello world"), (Pieces{"Hello", " world"}));
  EXPECT_EQ(split("gpt-2", "a   b"), (Pieces{"a", "  ", " b"}));
  EXPECT_EQ(split("gpt-2", "a\n\nb"), (Pieces{"a", "\n", "\n", "b"}));
  EXPECT_EQ(split("gpt-2", "in 2024!!"), (Pieces{"in", " 2024", "!!"}));
  EXPECT_EQ(split("gpt-2", "we'll WE'LL"), (Pieces{"we", "'ll", " WE", "'", "LL"}));
  EXPECT_EQ(split("gpt-2", "end   "), (Pieces{"end", "   "}));
  EXPECT_EQ(split("gpt-2", "x_y½²"), (Pieces{"x", "_", "y", "½²"}));
  EXPECT_EQ(split("default", "in 2024"), (Pieces{"in", " 2024"}));
}

TEST(PreTokenizer, SmolLmCutsDigitsFirst) {
  EXPECT_EQ(split("smollm", "in 2024!!"), (Pieces{"in", " ", "2", "0", "2", "4", "!!"}));
  // Before a digit the spaces end their stretch, so none is left for what follows.
  EXPECT_EQ(split("smollm", "a  1 b"), (Pieces{"a", "  ", "1", " b"}));
  EXPECT_EQ(split("smollm", "٣٤½"), (Pieces{"٣", "٤", "½"}));
}

TEST(PreTokenizer, Llama3TakesUpToThreeDigitsAndLineEnds) {
  EXPECT_EQ(split("llama-bpe", "x12345"), (Pieces{"x", "123", "45"}));
  EXPECT_EQ(split("llama-bpe", "a 1"), (Pieces{"a", " ", "1"}));
  EXPECT_EQ(split("llama-bpe", "$a (b)"), (Pieces{"$a", " (", "b", ")"}));
  EXPECT_EQ(split("llama-bpe", "we'LL"), (Pieces{"we", "'LL"}));
  EXPECT_EQ(split("llama-bpe", "f();\r\n\n  g"), (Pieces{"f", "();\r\n\n", " ", " g"}));
  EXPECT_EQ(split("llama-bpe", "a \n \n  b"), (Pieces{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(split("llama-bpe", "\tx"), (Pieces{"\tx"}));
  EXPECT_EQ(split("llama-bpe", "e\u0301a"), (Pieces{"e", "\u0301a"}));
}

TEST(PreTokenizer, Qwen2TakesDigitsOneByOne) {
  EXPECT_EQ(split("qwen2", "x123 45"), (Pieces{"x", "1", "2", "3", " ", "4", "5"}));
  EXPECT_EQ(split("qwen2", "we'Ve"), (Pieces{"we", "'Ve"}));
  EXPECT_EQ(split("qwen2", "«a»\n\nb"), (Pieces{"«a", "»\n\n", "b"}));
}

TEST(PreTokenizer, WhiteSpaceIsThatOfUnicode) {
  for (std::string_view name : {"gpt-2", "llama-bpe", "qwen2"}) {
    EXPECT_EQ(split(name, "\u0085\u2003\u3000"), (Pieces{"\u0085\u2003\u3000"})) << name;
    // The Mongolian vowel separator is white space no more; a no-break space is no letter's space.
    EXPECT_EQ(split(name, "!\u180E!"), (Pieces{"!\u180E!"})) << name;
  }
  EXPECT_EQ(split("gpt-2", "a\u00A0b"), (Pieces{"a", "\u00A0", "b"}));
  EXPECT_EQ(split("llama-bpe", "a\u00A0b"), (Pieces{"a", "\u00A0b"}));
}

TEST(PreTokenizer, ThePiecesAreTheText) {
  const std::string text =
      "We'll\t pay €1,234.50 — für\r\n\r\n\u00A0 漢字か😀👍🏽 'S  \x7F"
      "end ";
  for (std::string_view name : {"default", "gpt-2", "llama-bpe", "qwen2", "qwen35", "smollm"}) {
    std::string joined;
    for (std::string_view piece : split(name, text)) {
      EXPECT_FALSE(piece.empty());
      joined += piece;
    }
    EXPECT_EQ(joined, text) << name;
  }
}

TEST(PreTokenizer, HostileRunsStayWithinTheBounds) {
  for (std::string_view name : {"gpt-2", "llama-bpe", "qwen2", "qwen35", "smollm"}) {
    const auto splitter = PreTokenizer::create(name).value();
    for (std::string_view unit :
         {" ", "\n", " \n", "\t", "a", "漢", "!", "'", "1", "\r \n", "' ", "\u0301"}) {
      std::string text;
      while (text.size() < size_t{1} << 20) text += unit;
      for (std::string_view end : {"", "x", "\n", "!"}) {
        const auto pieces = splitter->split(text + std::string(end));
        EXPECT_TRUE(pieces.ok()) << name << " " << unit << ": " << pieces.status();
      }
    }
  }
}

TEST(PreTokenizer, AnUnknownNameListsTheKnown) {
  const auto status = PreTokenizer::create("tekken").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(),
            "[tokenizer] pre-tokenizer \"tekken\" is not known; known are gpt-2, default, "
            "llama-bpe, qwen2, qwen35, smollm (tokenizer.ggml.pre)");
}

}  // namespace
}  // namespace mokume
