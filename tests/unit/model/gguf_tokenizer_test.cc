#include "model/gguf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../weights/gguf_builder.h"

namespace mokume {
namespace {

using mokume::testing::GgufBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using TokenType = TokenizerSpec::TokenType;

GgufBuilder bpe() {
  GgufBuilder builder;
  builder.text("tokenizer.ggml.model", "gpt2");
  builder.texts("tokenizer.ggml.tokens", {"a", "b", "ab", "<|im_end|>", "</s>", "<|x|>"});
  builder.texts("tokenizer.ggml.merges", {"a b"});
  return builder;
}

Result<std::optional<TokenizerSpec>> load(const GgufBuilder& builder) {
  MKM_ASSIGN_OR_RETURN(const auto file, GgufFile::from_bytes(builder.build(), "small.gguf"));
  return load_gguf_tokenizer(*file);
}

TEST(GgufTokenizer, EveryKey) {
  GgufBuilder builder = bpe();
  builder.text("tokenizer.ggml.pre", "smollm");
  builder.i32s("tokenizer.ggml.token_type", {1, 4, 5, 3, 1, 3});
  builder.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 5);
  builder.u32("tokenizer.ggml.eot_token_id", 2).u32("tokenizer.ggml.eom_token_id", 5);
  builder.u32("tokenizer.ggml.unknown_token_id", 0).u32("tokenizer.ggml.padding_token_id", 3);
  builder.flag("tokenizer.ggml.add_bos_token", true).flag("tokenizer.ggml.add_eos_token", true);
  const auto loaded = load(builder);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const TokenizerSpec& spec = loaded->value();
  EXPECT_EQ(spec.pre_tokenizer, "smollm");
  EXPECT_THAT(spec.tokens, ElementsAre("a", "b", "ab", "<|im_end|>", "</s>", "<|x|>"));
  EXPECT_THAT(spec.merges, ElementsAre("a b"));
  EXPECT_THAT(spec.types,
              ElementsAre(TokenType::kNormal, TokenType::kUserDefined, TokenType::kUnused,
                          TokenType::kControl, TokenType::kNormal, TokenType::kControl));
  EXPECT_EQ(spec.bos, 1);
  EXPECT_EQ(spec.eos, 5);
  EXPECT_EQ(spec.unknown, 0);
  EXPECT_EQ(spec.padding, 3);
  EXPECT_TRUE(spec.add_bos);
  EXPECT_TRUE(spec.add_eos);
  // eot, the control token <|im_end|>, and eos that eom repeats; </s> is an ordinary token here.
  EXPECT_THAT(spec.end_of_generation, ElementsAre(2, 3, 5));
}

TEST(GgufTokenizer, Defaults) {
  const TokenizerSpec spec = load(bpe()).value().value();
  EXPECT_EQ(spec.pre_tokenizer, "default");
  EXPECT_THAT(spec.types, IsEmpty());
  EXPECT_THAT(spec.end_of_generation, IsEmpty());
  EXPECT_FALSE(spec.bos || spec.eos || spec.unknown || spec.padding);
  EXPECT_FALSE(spec.add_bos || spec.add_eos);
}

TEST(GgufTokenizer, Llama3AddsItsBosUnlessTheFileSaysNo) {
  GgufBuilder builder = bpe();
  builder.text("tokenizer.ggml.pre", "llama-bpe").u32("tokenizer.ggml.bos_token_id", 0);
  EXPECT_TRUE(load(builder).value()->add_bos);
  builder.flag("tokenizer.ggml.add_bos_token", false);
  EXPECT_FALSE(load(builder).value()->add_bos);
}

TEST(GgufTokenizer, NoneAndNothing) {
  EXPECT_FALSE(load(GgufBuilder()).value().has_value());
  EXPECT_FALSE(load(GgufBuilder().text("tokenizer.ggml.model", "none")).value().has_value());
}

TEST(GgufTokenizer, OtherModelsAreNamed) {
  const Status status = load(GgufBuilder().text("tokenizer.ggml.model", "llama")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("\"llama\" is not supported; supported are"));
}

TEST(GgufTokenizer, WhatIsWrongIsNamed) {
  const auto message = [](const GgufBuilder& builder) {
    return std::string(load(builder).status().message());
  };
  EXPECT_THAT(message(bpe().u32("tokenizer.ggml.bos_token_id", 6)),
              HasSubstr("bos_token_id is 6; must be 0 to 5"));
  EXPECT_THAT(message(bpe().i32s("tokenizer.ggml.token_type", {1})),
              HasSubstr("token_type has 1 entries for 6 tokens"));
  EXPECT_THAT(message(bpe().i32s("tokenizer.ggml.token_type", {1, 1, 1, 1, 1, 7})),
              HasSubstr("token_type has a 7; must be 1 to 6"));
  EXPECT_THAT(message(bpe().u32("tokenizer.ggml.add_bos_token", 1)), HasSubstr("must be a bool"));
  GgufBuilder empty;
  empty.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {});
  EXPECT_THAT(message(empty), HasSubstr("has 0 tokens"));
}

TEST(GgufTokenizer, ChatTemplate) {
  GgufBuilder builder;
  EXPECT_EQ(load_gguf_chat_template(*GgufFile::from_bytes(builder.build(), "a").value()).value(),
            "");
  builder.text("tokenizer.chat_template", "{{ x }}");
  EXPECT_EQ(load_gguf_chat_template(*GgufFile::from_bytes(builder.build(), "a").value()).value(),
            "{{ x }}");
}

}  // namespace
}  // namespace mokume
