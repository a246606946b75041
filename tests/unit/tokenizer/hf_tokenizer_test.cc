// tokenizer.json files against what Hugging Face's tokenizers library answers for them.
#include "tokenizer/hf_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/unit/tokenizer/vocabularies.h"

namespace mokume {
namespace {

using Ids = std::vector<TokenId>;

std::string read_data(const std::string& name) {
  std::stringstream text;
  text << testing::open_data(name).rdbuf();
  return text.str();
}

const nlohmann::json& expected() {
  static const nlohmann::json json = nlohmann::json::parse(read_data("hf/expected.json"));
  return json;
}

std::shared_ptr<const Tokenizer> load(const std::string& name) {
  auto spec = parse_tokenizer_json(read_data("hf/" + name + ".json"), name + ".json").value();
  return Tokenizer::create(std::move(spec)).value();
}

class HfTokenizer : public ::testing::TestWithParam<const char*> {};

TEST_P(HfTokenizer, IdsEqualThoseOfTheTokenizersLibrary) {
  const auto tokenizer = load(GetParam());
  const auto& answers = expected()["files"][GetParam()];
  const auto& texts = expected()["texts"];
  ASSERT_EQ(answers["ids"].size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string text = texts[i];
    EXPECT_EQ(tokenizer->encode(text, {.parse_special = true}).value(),
              answers["ids"][i].get<Ids>())
        << text;
    EXPECT_EQ(tokenizer->encode(text, {.add_special = true, .parse_special = true}).value(),
              answers["with_special"][i].get<Ids>())
        << text;
    EXPECT_EQ(tokenizer->encode(text, {}).value(), answers["plain"][i].get<Ids>()) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(Families, HfTokenizer,
                         ::testing::Values("gpt2", "gpt2-prefix", "smollm", "llama3", "qwen2",
                                           "qwen35", "cases", "several"));

TEST(HfTokenizerFile, KnowsTheFamiliesByTheirPatterns) {
  for (const auto& [file, name] : std::map<std::string, std::string>{{"gpt2", "gpt-2"},
                                                                     {"smollm", "smollm"},
                                                                     {"llama3", "llama-bpe"},
                                                                     {"qwen2", "qwen2"},
                                                                     {"qwen35", "qwen35"},
                                                                     {"cases", ""}}) {
    EXPECT_EQ(load(file)->spec().pre_tokenizer, name);
  }
}

/// The real vocabulary, in the form that Hugging Face publishes it in.
std::string smollm2_json() {
  const TokenizerSpec spec = testing::smollm2_spec();
  nlohmann::json json = {
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Digits"}, {"individual_digits", true}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}}}},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"unk_token", "<|endoftext|>"}, {"merges", spec.merges}}}};
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    json["model"]["vocab"][spec.tokens[id]] = id;
    if (spec.types[id] == TokenizerSpec::TokenType::kControl) {
      json["added_tokens"].push_back(
          {{"id", id}, {"content", spec.tokens[id]}, {"special", true}, {"normalized", false}});
    }
  }
  return json.dump();
}

TEST(HfTokenizerFile, SmolLm2sGivesTheIdsOfLlamaCpp) {
  auto spec = parse_tokenizer_json(smollm2_json(), "tokenizer.json").value();
  EXPECT_EQ(spec.pre_tokenizer, "smollm");
  const auto tokenizer = Tokenizer::create(std::move(spec)).value();
  const auto items = nlohmann::json::parse(read_data("smollm2.expected.json"))["items"];
  ASSERT_EQ(items.size(), 14u);
  for (const auto& item : items) {
    const std::string text = item["text"];
    EXPECT_EQ(tokenizer->encode(text, {.parse_special = true}).value(), item["ids"].get<Ids>());
    EXPECT_EQ(tokenizer->encode(text, {}).value(), item["ids_no_parse_special"].get<Ids>());
  }
}

}  // namespace
}  // namespace mokume
