#include "tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/tokenizer/vocabularies.h"

namespace mokume {
namespace {

using testing::add_token;
using testing::byte_spec;
using ::testing::HasSubstr;
using Ids = std::vector<TokenId>;
using Type = TokenizerSpec::TokenType;

Ids encode(const TokenizerSpec& spec, std::string_view text,
           Tokenizer::EncodeOptions options = {}) {
  return Tokenizer::create(spec).value()->encode(text, options).value();
}

void expect_refused(const TokenizerSpec& spec, std::string_view why) {
  const auto status = Tokenizer::create(spec).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << why;
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(why)));
}

TEST(Tokenizer, MergesIntoTheLowestIdOfEqualTexts) {
  TokenizerSpec spec = byte_spec();
  const TokenId first = add_token(spec, "ab");
  add_token(spec, "ab");
  spec.merges = {"a b"};
  EXPECT_EQ(encode(spec, "abab"), (Ids{first, first}));
  spec.types.clear();
  EXPECT_EQ(encode(spec, "abab"), (Ids{first, first}));
}

TEST(Tokenizer, AMergeWithoutATokenFallsBackToBytes) {
  TokenizerSpec spec = byte_spec();
  const TokenId abc = add_token(spec, "abc");
  spec.merges = {"a b", "ab c", "x y"};
  EXPECT_EQ(encode(spec, "abcab"), (Ids{abc, 'a', 'b'}));
  EXPECT_EQ(encode(spec, "xy"), (Ids{'x', 'y'}));
}

TEST(Tokenizer, AByteWithoutATokenIsTheUnknownTokenOrAnError) {
  TokenizerSpec spec;
  spec.pre_tokenizer = "gpt-2";
  const TokenId a = add_token(spec, "a");
  const TokenId unknown = add_token(spec, "<unk>", Type::kUnknown);
  EXPECT_THAT(
      std::string(Tokenizer::create(spec).value()->encode("a\u00E9", {}).status().message()),
      HasSubstr("no token for byte 0xC3 (byte 1"));
  spec.unknown = unknown;
  EXPECT_EQ(encode(spec, "aba"), (Ids{a, unknown, a}));
  spec.types[static_cast<size_t>(unknown)] = Type::kControl;
  EXPECT_FALSE(Tokenizer::create(spec).value()->encode("b", {}).ok());
}

TEST(Tokenizer, FindsControlTokensOnlyWhenAskedAndUserDefinedOnesAlways) {
  TokenizerSpec spec = byte_spec();
  const TokenId control = add_token(spec, "<c>", Type::kControl);
  const TokenId user = add_token(spec, "<u>", Type::kUserDefined);
  EXPECT_EQ(encode(spec, "x<u><c>"), (Ids{'x', user, '<', 'c', '>'}));
  EXPECT_EQ(encode(spec, "x<u><c>", {.parse_special = true}), (Ids{'x', user, control}));
  const auto tokenizer = Tokenizer::create(spec).value();
  EXPECT_EQ(tokenizer->decode(Ids{'x', user, control}, false), "x<u>");
  EXPECT_EQ(tokenizer->decode(Ids{'x', user, control}, true), "x<u><c>");
}

TEST(Tokenizer, TakesTheLongestSpecialToken) {
  TokenizerSpec spec = byte_spec();
  const TokenId one = add_token(spec, "<|e|>", Type::kControl);
  const TokenId two = add_token(spec, "<|e|><|e|>", Type::kControl);
  const TokenId bar = add_token(spec, "<|", Type::kControl);
  add_token(spec, "<|e|>", Type::kControl);
  add_token(spec, "", Type::kControl);
  const Tokenizer::EncodeOptions special = {.parse_special = true};
  EXPECT_EQ(encode(spec, "<|e|><|e|><|e|>", special), (Ids{two, one}));
  EXPECT_EQ(encode(spec, "<<|e|", special), (Ids{'<', bar, 'e', '|'}));
  EXPECT_EQ(encode(spec, "<|e|><|e|", special), (Ids{one, bar, 'e', '|'}));
}

TEST(Tokenizer, PlainTextNeverBecomesAControlToken) {
  TokenizerSpec spec = byte_spec();
  add_token(spec, "ab", Type::kControl);
  spec.merges = {"a b"};
  EXPECT_EQ(encode(spec, "ab"), (Ids{'a', 'b'}));
}

TEST(Tokenizer, ASpecialTokenThatIsNotUtf8IsNeverFound) {
  TokenizerSpec spec = byte_spec();
  add_token(spec, "\xC3", Type::kUserDefined);
  EXPECT_EQ(encode(spec, "\u00E9"), (Ids{0xC3, 0xA9}));
}

TEST(Tokenizer, AddsBosAndEosWhereTheModelWantsThem) {
  TokenizerSpec spec = byte_spec();
  spec.bos = add_token(spec, "<s>", Type::kControl);
  spec.eos = add_token(spec, "</s>", Type::kControl);
  EXPECT_EQ(encode(spec, "a", {.add_special = true}), (Ids{'a'}));
  spec.add_bos = spec.add_eos = true;
  EXPECT_EQ(encode(spec, "a", {.add_special = true}), (Ids{*spec.bos, 'a', *spec.eos}));
  EXPECT_EQ(encode(spec, "", {.add_special = true}), (Ids{*spec.bos, *spec.eos}));
  EXPECT_EQ(encode(spec, "a"), (Ids{'a'}));
  const auto tokenizer = Tokenizer::create(spec).value();
  EXPECT_EQ(tokenizer->special_text(spec.bos), "<s>");
  EXPECT_EQ(tokenizer->special_text(std::nullopt), "");
  EXPECT_EQ(tokenizer->special_text(-1), "");
}

TEST(Tokenizer, Llama3TakesAWholePieceThatIsAToken) {
  for (std::string name : {"llama-bpe", "qwen2"}) {
    TokenizerSpec spec = byte_spec(name);
    const TokenId word = add_token(spec, "abc");
    EXPECT_EQ(encode(spec, "abc"), name == "qwen2" ? (Ids{'a', 'b', 'c'}) : Ids{word});
  }
}

TEST(Tokenizer, TellsWhichTokensEndAnAnswer) {
  TokenizerSpec spec = byte_spec();
  spec.eos = 1;
  spec.end_of_generation = {2, 3, 2};
  const auto tokenizer = Tokenizer::create(spec).value();
  for (TokenId id : {1, 2, 3}) EXPECT_TRUE(tokenizer->is_end_of_generation(id));
  for (TokenId id : {-1, 0, 4, 256, INT32_MAX, INT32_MIN}) {
    EXPECT_FALSE(tokenizer->is_end_of_generation(id));
  }
}

TEST(Tokenizer, IdsOutOfRangeAndUnusedTokensHaveNoBytes) {
  TokenizerSpec spec = byte_spec();
  const TokenId unused = add_token(spec, "[PAD]", Type::kUnused);
  const TokenId odd = add_token(spec, "漢 字");
  const auto tokenizer = Tokenizer::create(spec).value();
  for (TokenId id : {-1, 258, INT32_MAX, INT32_MIN, unused}) {
    EXPECT_EQ(tokenizer->token_bytes(id, true), "");
  }
  EXPECT_EQ(tokenizer->token_bytes(odd, false), "漢 字");
  EXPECT_EQ(tokenizer->token_bytes(0xC3, false), "\xC3");
  EXPECT_EQ(tokenizer->decode(Ids{'a', 0xC3, 'b', -5, 0xE6, 0xBC}, false), "a\uFFFDb\uFFFD");
}

TEST(Tokenizer, TextThatIsNotUtf8IsRefusedWithItsPlace) {
  const auto tokenizer = Tokenizer::create(byte_spec()).value();
  const auto status = tokenizer->encode("abc\xFF", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "[tokenizer] the text is not UTF-8 (byte 3)");
}

TEST(Tokenizer, ABadSpecIsRefusedByWhatIsWrongWithIt) {
  const TokenizerSpec good = byte_spec();
  const auto changed = [&good](const auto& change) {
    TokenizerSpec spec = good;
    change(spec);
    return spec;
  };
  expect_refused(changed([](auto& s) { s.tokens.clear(), s.types.clear(); }), "0 tokens");
  expect_refused(changed([](auto& s) { s.types.pop_back(); }), "255 token types for 256 tokens");
  expect_refused(changed([](auto& s) { s.types[9] = static_cast<Type>(77); }), "(token 9)");
  expect_refused(changed([](auto& s) { s.bos = 256; }), "BOS token id 256 is outside");
  expect_refused(changed([](auto& s) { s.eos = -1; }), "EOS token id -1 is outside");
  expect_refused(changed([](auto& s) { s.unknown = 9999; }), "unknown token id 9999");
  expect_refused(changed([](auto& s) { s.padding = INT32_MIN; }), "padding token id -2147483648");
  expect_refused(changed([](auto& s) { s.end_of_generation = {1, 256}; }), "end-of-generation");
  expect_refused(changed([](auto& s) { s.add_bos = true; }), "there is no BOS token");
  expect_refused(changed([](auto& s) { s.add_eos = true; }), "there is no EOS token");
  expect_refused(changed([](auto& s) { s.merges = {"ab"}; }), "(merge 0)");
  expect_refused(changed([](auto& s) { add_token(s, std::string(2000, 'x'), Type::kControl); }),
                 "special token of 2000 bytes; at most 1024 (token 256)");
  TokenizerSpec huge;
  huge.pre_tokenizer = "gpt-2";
  huge.tokens.resize(Tokenizer::kMaxTokens + 1);
  expect_refused(huge, "4194305 tokens");
  EXPECT_EQ(Tokenizer::create(byte_spec("gpt-9")).status().code(), absl::StatusCode::kNotFound);
}

TEST(StreamDecoder, HoldsBackAnUnfinishedCharacter) {
  const auto tokenizer = Tokenizer::create(byte_spec()).value();
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push(0x9F), "");
  EXPECT_EQ(decoder.push(0x98), "");
  EXPECT_EQ(decoder.push(0x80), "😀");
  EXPECT_EQ(decoder.push(0xE6), "");
  EXPECT_EQ(decoder.push('a'), "\uFFFDa");
  EXPECT_EQ(decoder.push(0x80), "\uFFFD");
  EXPECT_EQ(decoder.push(-1), "");
  EXPECT_EQ(decoder.push(0xE6), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.finish(), "");
}

}  // namespace
}  // namespace mokume
