// Files that are wrong: each error names the key and the file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tokenizer/byte_unicode.h"
#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/hf_tokenizer_config.h"

namespace mokume {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

/// A small file that is right.
Json small() {
  Json json = {{"added_tokens",
                {{{"id", 257}, {"content", "<s>"}, {"special", true}, {"normalized", false}}}},
               {"normalizer", nullptr},
               {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
               {"post_processor", {{"type", "ByteLevel"}}},
               {"decoder", {{"type", "ByteLevel"}}},
               {"model", {{"type", "BPE"}, {"merges", {"a b"}}}}};
  for (int byte = 0; byte < 256; ++byte) {
    json["model"]["vocab"][bytes_to_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
  }
  json["model"]["vocab"]["ab"] = 256;
  return json;
}

Result<TokenizerSpec> parse(const std::string& text) {
  return parse_tokenizer_json(text, "d/tokenizer.json");
}

/// `change` is a merge patch.
std::string error_after(const Json& change) {
  Json json = small();
  json.merge_patch(change);
  const auto spec = parse(json.dump());
  return spec.ok() ? "accepted" : std::string(spec.status().message());
}

TEST(HfTokenizerHostile, TheSmallFileIsRight) {
  const auto spec = parse(small().dump());
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->tokens.size(), 258u);
  EXPECT_EQ(spec->merges, (std::vector<std::string>{"a b"}));
  EXPECT_TRUE(Tokenizer::create(*spec).ok());
}

TEST(HfTokenizerHostile, ErrorsNameKeyAndFile) {
  struct Case {
    const char* change;
    const char* error;
  };
  const Case cases[] = {
      {R"({"model": null})", "model is absent; must be an object"},
      {R"({"model": 3})", "model must be an object, not number"},
      {R"({"model": {"type": "Unigram"}})", "model.type is \"Unigram\"; supported is BPE"},
      {R"({"model": {"type": []}})", "model.type must be a string"},
      {R"({"model": {"byte_fallback": true}})", "model.byte_fallback must be false"},
      {R"({"model": {"dropout": 0.1}})", "model.dropout must be null"},
      {R"({"model": {"continuing_subword_prefix": "##"}})", "continuing_subword_prefix must be"},
      {R"({"model": {"ignore_merges": 1}})", "model.ignore_merges must be true or false"},
      {R"({"model": {"unk_token": "<unk>"}})", "model.unk_token is \"<unk>\", which is no token"},
      {R"({"model": {"vocab": []}})", "model.vocab must be an object, not array"},
      {R"({"model": {"vocab": {"x": -1}}})", "model.vocab gives \"x\" the id -1; must be 0 to"},
      {R"({"model": {"vocab": {"x": 4194304}}})", "the id 4194304; must be 0 to 4194303"},
      {R"({"model": {"vocab": {"x": 4194303}}})", "model.vocab leaves out"},
      {R"({"model": {"vocab": {"x": 1.5}}})", "must give an integer for \"x\", not number"},
      {R"({"model": {"vocab": {"zz": 97}}})", "model.vocab gives the id 97 to both"},
      {R"({"model": {"merges": "a b"}})", "model.merges must be an array, not string"},
      {R"({"model": {"merges": ["a c"]}})", "model.merges[0] has \"ac\", which is no token"},
      {R"({"model": {"merges": ["a b", "ab"]}})", "model.merges[1] has \"\", which is no token"},
      {R"({"model": {"merges": [["a", "q", "b"]]}})", "model.merges[0] must be \"left right\""},
      {R"({"model": {"merges": [["a", 1]]}})", "model.merges[0] must be \"left right\""},
      {R"({"added_tokens": {}})", "added_tokens must be an array"},
      {R"({"added_tokens": [1]})", "added_tokens[0] must be an object"},
      {R"({"added_tokens": [{"id": 300}]})", "added_tokens[0].content is absent"},
      {R"({"added_tokens": [{"id": 300, "content": ""}]})", "added_tokens[0].content is empty"},
      {R"({"added_tokens": [{"content": "x"}]})", "added_tokens[0].id is absent; must be an int"},
      {R"({"added_tokens": [{"id": 1e9, "content": "<x>"}]})", "added_tokens[0].id must be an int"},
      {R"({"added_tokens": [{"id": 1000000000, "content": "<x>"}]})", "id is 1000000000; must be"},
      {R"({"added_tokens": [{"id": 97, "content": "<x>"}]})", "gives the id 97 to \"<x>\"; it is"},
      {R"({"added_tokens": [{"id": 300, "content": "a"}]})", "it has the id 97 already"},
      {R"({"added_tokens": [{"id": 300, "content": "<x>"}, {"id": 300, "content": "<x>"}]})",
       "added_tokens[1] adds \"<x>\" a second time"},
      {R"({"added_tokens": [{"id": 300, "content": "<x>", "single_word": true}]})",
       "added_tokens[0].single_word must be false"},
      {R"({"added_tokens": [{"id": 300, "content": "<x>", "lstrip": "no"}]})",
       "added_tokens[0].lstrip must be true or false"},
      {R"({"normalizer": {"type": "Lowercase"}})",
       "normalizer is \"Lowercase\"; supported are NFC"},
      {R"({"normalizer": {"type": "Sequence"}})", "normalizer.normalizers is absent"},
      {R"({"normalizer": "NFC"})", "normalizer must be an object"},
      {R"({"pre_tokenizer": null})", "pre_tokenizer has no ByteLevel step"},
      {R"({"pre_tokenizer": {"type": "Metaspace"}})", "pre_tokenizer is \"Metaspace\"; supported"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Removed"}})",
       "pre_tokenizer.behavior is \"Removed\"; supported are Isolated"},
      {R"({"pre_tokenizer": {"type": "Split", "pattern": "a"}})",
       "pre_tokenizer.pattern.Regex is absent; must be a string"},
      {R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"},
           {"type": "Digits"}]}})",
       "pre_tokenizer.pretokenizers[1] comes after ByteLevel"},
      {R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"},
           {"type": "ByteLevel"}]}})",
       "pretokenizers[1].add_prefix_space may be true only where"},
      {R"({"post_processor": {"type": "BertProcessing"}})", "post_processor is \"BertProcessing\""},
      {R"({"post_processor": {"type": "TemplateProcessing", "single": []}})",
       "post_processor.single lacks the text itself"},
      {R"({"post_processor": {"type": "TemplateProcessing",
           "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}})",
       "post_processor.special_tokens.<s>.ids is absent"},
      {R"({"post_processor": {"type": "TemplateProcessing",
           "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
           "special_tokens": {"<s>": {"ids": [258]}}}})",
       "special_tokens.<s>.ids[0] is 258; must be 0 to 257"},
      {R"({"decoder": {"type": "Metaspace"}})", "decoder is \"Metaspace\"; supported is ByteLevel"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(
        error_after(Json::parse(c.change)),
        AllOf(HasSubstr(c.error), HasSubstr("[tokenizer] "), HasSubstr("(d/tokenizer.json)")))
        << c.change;
  }
}

TEST(HfTokenizerHostile, NestedSequencesAreBounded) {
  Json steps = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  for (int depth = 0; depth < 8; ++depth) {
    steps = {{"type", "Sequence"}, {"pretokenizers", Json::array({steps})}};
  }
  EXPECT_EQ(error_after({{"pre_tokenizer", steps}}), "accepted");
  steps = {{"type", "Sequence"}, {"pretokenizers", Json::array({steps})}};
  EXPECT_THAT(error_after({{"pre_tokenizer", steps}}), HasSubstr("nests deeper than 8 levels"));
  std::string deep(100'000, '[');
  EXPECT_THAT(std::string(parse(deep).status().message()), HasSubstr("nested deeper than 32"));
}

TEST(HfTokenizerHostile, TextThatIsNoSuchFile) {
  for (const std::string text : {"", "[]", "{", "{\"model\": \"\xFF\"}", "null"}) {
    EXPECT_EQ(parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_THAT(std::string(parse(R"({"a": 1, "a": 2})").status().message()),
              HasSubstr("\"a\" occurs twice"));
  EXPECT_THAT(std::string(parse(std::string((64 << 20) + 1, ' ')).status().message()),
              HasSubstr("at most 67108864 are read (d/tokenizer.json)"));
}

TEST(HfTokenizerConfig, TakesTextsObjectsAndNamedTemplates) {
  const auto config = parse_tokenizer_config(
      R"({"bos_token": null, "eos_token": {"content": "</s>"}, "add_bos_token": false,
          "chat_template": [{"name": "tools", "template": "T"},
                            {"name": "default", "template": "D"}]})",
      "c");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->bos, std::nullopt);
  EXPECT_EQ(config->eos, "</s>");
  EXPECT_EQ(config->add_bos, false);
  EXPECT_EQ(config->add_eos, std::nullopt);
  EXPECT_EQ(config->chat_template, "D");
}

TEST(HfTokenizerConfig, ErrorsNameKeyAndFile) {
  for (const auto& [text, error] : std::map<std::string, std::string>{
           {R"({"bos_token": 1})", "bos_token must be a string, not number (c)"},
           {R"({"eos_token": {}})", "eos_token.content is absent; must be a string (c)"},
           {R"({"add_bos_token": "yes"})", "add_bos_token must be true or false, not string (c)"},
           {R"({"chat_template": [{"name": 1}]})", "chat_template[0].name must be a string"},
           {R"({"chat_template": 1})", "chat_template must be an array, not number (c)"}}) {
    EXPECT_THAT(std::string(parse_tokenizer_config(text, "c").status().message()),
                HasSubstr(error));
  }
  TokenizerSpec spec = parse(small().dump()).value();
  HfTokenizerConfig config;
  config.eos = "</s>";
  EXPECT_THAT(std::string(apply_tokenizer_config(config, "c", spec).message()),
              HasSubstr("eos_token is \"</s>\", which is no token of tokenizer.json (c)"));
  config = {};
  config.add_bos = true;
  EXPECT_THAT(std::string(apply_tokenizer_config(config, "c", spec).message()),
              HasSubstr("add_bos_token is true, but there is no bos_token (c)"));
  config.bos = "<s>";
  EXPECT_EQ(apply_tokenizer_config(config, "c", spec), absl::OkStatus());
  EXPECT_EQ(spec.bos, 257);
  EXPECT_TRUE(spec.add_bos);
}

TEST(HfTokenizerConfig, EndsAreANumberOrAList) {
  using Ids = std::vector<TokenId>;
  EXPECT_EQ(parse_eos_ids(R"({"eos_token_id": 7})", "g").value(), Ids{7});
  EXPECT_EQ(parse_eos_ids(R"({"eos_token_id": [7, 9]})", "g").value(), (Ids{7, 9}));
  EXPECT_EQ(parse_eos_ids(R"({"text_config": {"eos_token_id": 5}})", "g").value(), Ids{5});
  EXPECT_EQ(parse_eos_ids(R"({"eos_token_id": null})", "g").value(), Ids{});
  for (const char* text : {R"({"eos_token_id": -1})", R"({"eos_token_id": "x"})",
                           R"({"eos_token_id": [1, 18446744073709551615]})", "[]"}) {
    EXPECT_FALSE(parse_eos_ids(text, "g").ok()) << text;
  }
}

}  // namespace
}  // namespace mokume
