// The real vocabulary of SmolLM2 against what llama.cpp answers for it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <random>

#include "base/utf8.h"
#include "tests/unit/tokenizer/vocabularies.h"

namespace mokume {
namespace {

using testing::smollm2;

double seconds_of(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST(SmolLm2, IdsEqualThoseOfLlamaCpp) {
  auto file = testing::open_data("smollm2.expected.json");
  const auto expected = nlohmann::json::parse(file);
  ASSERT_EQ(expected["items"].size(), 14u);
  for (const auto& item : expected["items"]) {
    const std::string text = item["text"];
    EXPECT_EQ(smollm2()->encode(text, {.parse_special = true}).value(),
              item["ids"].get<std::vector<TokenId>>())
        << text;
    const auto plain = smollm2()->encode(text, {.parse_special = false}).value();
    EXPECT_EQ(plain, item["ids_no_parse_special"].get<std::vector<TokenId>>()) << text;
    EXPECT_EQ(smollm2()->decode(plain, false), text);
    EXPECT_EQ(smollm2()->decode(item["ids"].get<std::vector<TokenId>>(), true), text);
  }
}

/// Characters of the planes in use, with many of the kinds that the splitter tells apart; none has
/// a byte that this vocabulary lacks.
std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kPieces = {" ",
                                                   "  ",
                                                   "\n",
                                                   "\r\n",
                                                   "\t",
                                                   "'",
                                                   "'s",
                                                   "a",
                                                   "Ab",
                                                   "word",
                                                   "0",
                                                   "42",
                                                   "٣",
                                                   "½",
                                                   "é",
                                                   "e\u0301",
                                                   "ж",
                                                   "漢",
                                                   "か",
                                                   "😀",
                                                   "👩‍👩‍👧",
                                                   "|",
                                                   "<",
                                                   "<|im_end|",
                                                   "<|im_end|>",
                                                   "\u00A0",
                                                   "\u2003",
                                                   "\u180E",
                                                   "\u0085",
                                                   "!",
                                                   "$",
                                                   "€",
                                                   "𝒳",
                                                   std::string(1, '\0'),
                                                   "\x7F",
                                                   "\U000E0041"};
  std::string text;
  for (size_t n = random() % 60; n > 0; --n) text += kPieces[random() % kPieces.size()];
  return text;
}

TEST(SmolLm2, DecodingRestoresAnyText) {
  std::mt19937 random(20261122);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = random_text(random);
    ASSERT_EQ(find_invalid_utf8(text), std::nullopt);
    for (bool special : {false, true}) {
      const auto ids = smollm2()->encode(text, {.parse_special = special}).value();
      ASSERT_EQ(smollm2()->decode(ids, special), text);
    }
  }
}

TEST(SmolLm2, AStreamIsWholeCharactersAndAddsUpToTheText) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<TokenId> ids(random() % 40);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % 700);  // mostly lone bytes
    if (round % 2 == 0) ids = smollm2()->encode(random_text(random), {}).value();
    StreamDecoder decoder(smollm2());
    std::string text;
    for (TokenId id : ids) {
      const std::string piece = decoder.push(id);
      ASSERT_EQ(find_invalid_utf8(piece), std::nullopt);
      text += piece;
    }
    ASSERT_EQ(text + decoder.finish(), smollm2()->decode(ids, false));
    ASSERT_EQ(decoder.finish(), "");
  }
}

TEST(SmolLm2, AByteWithoutATokenIsAnErrorThatNamesIt) {
  // Its unknown token is <|endoftext|>, which plain text must not bring about.
  const auto status = smollm2()->encode("abc\x04", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "[tokenizer] the vocabulary has no token for byte 0x04 (byte 3 of the text)");
}

TEST(SmolLm2, OneLongWordTakesNoLongerThanManyShortOnes) {
  constexpr size_t kSize = size_t{1} << 20;
  const auto repeat = [](std::string_view unit) {
    std::string text;
    while (text.size() < kSize) text += unit;
    return text;
  };
  for (const std::string& text :
       {repeat("a"), repeat(" "), repeat("\n"), repeat("\t"), repeat("="), repeat("1"),
        repeat("abcdefghij"), repeat("漢"), repeat("\u0301"), repeat(" \n"), repeat(" x"),
        repeat(" ") + "x", repeat("<|im_start|"), repeat("<|im_start|>")}) {
    std::vector<TokenId> ids;
    // It takes about 0.2 s; a quadratic merge would take hours.
    EXPECT_LT(seconds_of([&] { ids = smollm2()->encode(text, {.parse_special = true}).value(); }),
              20.0)
        << text.substr(0, 12);
    EXPECT_EQ(smollm2()->decode(ids, true), text);
  }
}

TEST(SmolLm2, TwoMegabytesTakeLittleTime) {
  std::string text;
  auto file = testing::open_data("smollm2.expected.json");
  const auto expected = nlohmann::json::parse(file);
  while (text.size() < size_t{1} << 21) {
    for (const auto& item : expected["items"]) text += item["text"].get<std::string>() + " ";
  }
  std::vector<TokenId> ids;
  const double encode = seconds_of([&] { ids = smollm2()->encode(text, {}).value(); });
  StreamDecoder decoder(smollm2());
  size_t size = 0;
  const double decode = seconds_of([&] {
    for (TokenId id : ids) size += decoder.push(id).size();
  });
  EXPECT_EQ(size, text.size());
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  RecordProperty("encode_mb_per_s", std::to_string(megabytes / encode));
  RecordProperty("decode_mb_per_s", std::to_string(megabytes / decode));
  EXPECT_LT(encode, 20.0);
  EXPECT_LT(decode, 20.0);
  std::printf("encode %.1f MB/s, stream decode %.1f MB/s\n", megabytes / encode,
              megabytes / decode);
}

}  // namespace
}  // namespace mokume
