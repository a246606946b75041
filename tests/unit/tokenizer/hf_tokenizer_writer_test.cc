// Tokenizers written as Hugging Face files and read back.
#include "tokenizer/hf_tokenizer_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/tokenizer/vocabularies.h"
#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/hf_tokenizer_config.h"

namespace mokume {
namespace {

using testing::add_token;
using testing::byte_spec;
using ::testing::HasSubstr;
using Type = TokenizerSpec::TokenType;
using Ids = std::vector<TokenId>;

std::string read_data(const std::string& name) {
  std::stringstream text;
  text << testing::open_data(name).rdbuf();
  return text.str();
}

/// What a directory with the files would load.
TokenizerSpec read_back(const HfTokenizerFiles& files) {
  auto spec = parse_tokenizer_json(files.tokenizer_json, "tokenizer.json").value();
  const auto config = parse_tokenizer_config(files.tokenizer_config_json, "config").value();
  EXPECT_EQ(apply_tokenizer_config(config, "config", spec), absl::OkStatus());
  spec.end_of_generation = parse_eos_ids(files.generation_config_json, "generation").value();
  return spec;
}

TokenizerSpec round_trip(const TokenizerSpec& spec) {
  return read_back(write_hf_tokenizer(spec, "").value());
}

TEST(HfTokenizerWriter, SmolLm2ComesBackWhole) {
  const TokenizerSpec spec = testing::smollm2_spec();
  const TokenizerSpec back = round_trip(spec);
  EXPECT_EQ(back.pre_tokenizer, "smollm");
  EXPECT_EQ(back.tokens, spec.tokens);
  EXPECT_EQ(back.types, spec.types);
  EXPECT_EQ(back.merges, spec.merges);
  EXPECT_EQ(back.bos, spec.bos);
  EXPECT_EQ(back.eos, spec.eos);
  EXPECT_EQ(back.padding, spec.padding);
  EXPECT_EQ(back.unknown, spec.unknown);
  EXPECT_EQ(back.end_of_generation, Ids{2});
  const auto tokenizer = Tokenizer::create(back).value();
  const auto expected = nlohmann::json::parse(read_data("smollm2.expected.json"));
  for (const auto& item : expected["items"]) {
    EXPECT_EQ(tokenizer->encode(item["text"].get<std::string>(), {.parse_special = true}).value(),
              item["ids"].get<Ids>());
  }
}

TEST(HfTokenizerWriter, EveryFileOfTheTestDataComesBackToTheSameIds) {
  const auto expected = nlohmann::json::parse(read_data("hf/expected.json"));
  for (const auto& [name, answers] : expected["files"].items()) {
    const auto spec = parse_tokenizer_json(read_data("hf/" + name + ".json"), name).value();
    const auto tokenizer = Tokenizer::create(round_trip(spec)).value();
    EXPECT_EQ(tokenizer->spec().pre_tokenizer, spec.pre_tokenizer);
    for (size_t i = 0; i < expected["texts"].size(); ++i) {
      const std::string text = expected["texts"][i];
      EXPECT_EQ(tokenizer->encode(text, {.add_special = true, .parse_special = true}).value(),
                answers["with_special"][i].get<Ids>())
          << name << ": " << text;
    }
  }
}

TEST(HfTokenizerWriter, KeepsEveryFamilyAndWhatItAdds) {
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "qwen35", "smollm"}) {
    TokenizerSpec spec = byte_spec(name);
    spec.bos = add_token(spec, "<s>", Type::kControl);
    spec.eos = add_token(spec, "</s>", Type::kControl);
    add_token(spec, "[PAD258]", Type::kUnused);
    const TokenId user = add_token(spec, "<u>", Type::kUserDefined);
    add_token(spec, "ab");
    spec.merges = {"a b", "a b"};
    spec.findings = {{user, true, false, true}};
    spec.add_bos = spec.add_eos = true;
    spec.end_of_generation = {*spec.eos, 'x'};
    const TokenizerSpec back = round_trip(spec);
    EXPECT_EQ(back.pre_tokenizer, name);
    EXPECT_EQ(back.tokens, spec.tokens);
    EXPECT_EQ(back.types, spec.types);
    EXPECT_EQ(back.merges, (std::vector<std::string>{"a b"}));
    EXPECT_EQ(back.end_of_generation, (Ids{'x', *spec.eos}));
    EXPECT_TRUE(back.add_bos && back.add_eos);
    ASSERT_EQ(back.findings.size(), 1u);
    EXPECT_TRUE(back.findings[0].takes_space_before && back.findings[0].in_normalized_text);
    const auto tokenizer = Tokenizer::create(back).value();
    EXPECT_EQ(tokenizer->encode("ab <u>", {.add_special = true}).value(),
              (Ids{*spec.bos, user + 1, user, *spec.eos}));
  }
}

TEST(HfTokenizerWriter, KeepsTheChatTemplate) {
  const auto files = write_hf_tokenizer(byte_spec(), "{{ messages }}\n\"\u00E9\"").value();
  EXPECT_EQ(parse_tokenizer_config(files.tokenizer_config_json, "config").value().chat_template,
            "{{ messages }}\n\"\u00E9\"");
  EXPECT_EQ(files.generation_config_json, "{}\n");
}

TEST(HfTokenizerWriter, LeavesOutTokensThatNoTextLeadsTo) {
  TokenizerSpec spec = byte_spec();
  add_token(spec, "ab");
  add_token(spec, "ab");
  add_token(spec, "");
  const TokenId last = add_token(spec, "abc");
  const TokenizerSpec back = round_trip(spec);
  EXPECT_EQ(back.tokens.size(), spec.tokens.size());
  EXPECT_EQ(back.types[257], Type::kUnused);
  EXPECT_EQ(back.types[258], Type::kUnused);
  EXPECT_EQ(back.tokens[static_cast<size_t>(last)], "abc");
}

TEST(HfTokenizerWriter, NamesWhatTheFormatCannotHold) {
  TokenizerSpec spec = byte_spec();
  spec.merges = {"a b"};
  EXPECT_THAT(std::string(write_hf_tokenizer(spec, "").status().message()),
              HasSubstr("merge 0, \"a b\", has \"ab\", which is no token"));
  spec.merges.clear();
  add_token(spec, "\xFF");
  EXPECT_THAT(std::string(write_hf_tokenizer(spec, "").status().message()), HasSubstr("token 256"));
}

}  // namespace
}  // namespace mokume
