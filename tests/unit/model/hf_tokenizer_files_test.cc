// Directories with tokenizer files, whole.
#include "model/hf_tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "model/load_model.h"
#include "tokenizer/hf_tokenizer.h"

namespace mokume {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// tiny-llama (512 rows) with the tokenizer of a test file (484 tokens); lives as long as this.
class HfDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path data = MOKUME_SOURCE_DIR "/tests/data";
    directory_ = fs::path(::testing::TempDir()) /
                 (std::string("hf_directory_") +
                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy_file(data / "hf/tiny-llama" / name, directory_ / name);
    }
    fs::copy_file(data / "tokenizer/hf/qwen2.json", directory_ / "tokenizer.json");
    write("tokenizer_config.json",
          R"({"bos_token": null, "eos_token": {"content": "<|end|>"}, "chat_template": "old"})");
    write("generation_config.json", R"({"eos_token_id": [477, 476]})");
  }
  void TearDown() override { fs::remove_all(directory_); }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  Result<LoadedModel> load() { return load_model(directory_.string()); }
  void expect_error(const std::string& what, const std::string& file) {
    EXPECT_THAT(std::string(load().status().message()), AllOf(HasSubstr(what), HasSubstr(file)));
  }

  fs::path directory_;
};

TEST_F(HfDirectory, ServesText) {
  const auto loaded = load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_NE(loaded->tokenizer, nullptr);
  const Tokenizer& tokenizer = *loaded->tokenizer;
  EXPECT_EQ(tokenizer.vocab_size(), 512);
  EXPECT_EQ(tokenizer.special_text(tokenizer.spec().eos), "<|end|>");
  EXPECT_EQ(tokenizer.spec().bos, std::nullopt);
  for (TokenId id = 0; id < 512; ++id) {
    EXPECT_EQ(tokenizer.is_end_of_generation(id), id == 476 || id == 477) << id;
  }
  const auto ids = tokenizer.encode("hello <|end|>", {.parse_special = true}).value();
  EXPECT_EQ(ids.back(), tokenizer.spec().eos);
  EXPECT_EQ(tokenizer.decode(ids, true), "hello <|end|>");
  EXPECT_EQ(tokenizer.token_bytes(511, true), "");
  EXPECT_EQ(loaded->chat_template, "old");
}

TEST_F(HfDirectory, ATemplateOfItsOwnFileIsTaken) {
  write("chat_template.jinja", "new");
  EXPECT_EQ(load().value().chat_template, "new");
  write("chat_template.jinja", "\xFF");
  expect_error("must be UTF-8", "chat_template.jinja");
}

TEST_F(HfDirectory, EndsComeFromTheConfigWhereNothingElseNamesThem) {
  fs::remove(directory_ / "generation_config.json");
  const auto tokenizer = load().value().tokenizer;
  EXPECT_TRUE(tokenizer->is_end_of_generation(2));
  EXPECT_EQ(tokenizer->spec().end_of_generation, std::vector<TokenId>{2});
}

TEST_F(HfDirectory, WithoutATokenizerIdsAreServed) {
  fs::remove(directory_ / "tokenizer.json");
  const auto loaded = load();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->tokenizer, nullptr);
  EXPECT_EQ(loaded->chat_template, "");
}

TEST_F(HfDirectory, OnlyTheTokenizerItselfIsNeeded) {
  fs::remove(directory_ / "generation_config.json");
  fs::remove(directory_ / "tokenizer_config.json");
  EXPECT_EQ(load().value().tokenizer->spec().eos, std::nullopt);
}

TEST_F(HfDirectory, ErrorsNameTheFile) {
  write("generation_config.json", R"({"eos_token_id": 512})");
  expect_error("eos_token_id 512 is outside the vocabulary of 512", "generation_config.json");
  write("generation_config.json", "");
  EXPECT_FALSE(load().ok());
  write("generation_config.json", R"({"eos_token_id": "x"})");
  expect_error("eos_token_id must be an integer", "generation_config.json");
  write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  expect_error("eos_token is \"</s>\", which is no token", "tokenizer_config.json");
  write("tokenizer.json", "{}");
  expect_error("model is absent; must be an object", "tokenizer.json");
}

TEST_F(HfDirectory, AnIdBeyondTheModelsRowsIsAnError) {
  write("tokenizer.json",
        R"({"pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0}, "merges": []},
            "added_tokens": [{"id": 512, "content": "<x>"}]})");
  expect_error("the greatest token id is 512, but the model's vocab_size is 512", "tokenizer.json");
}

TEST_F(HfDirectory, APatternThatCannotBeRunIsAnErrorOfTheFile) {
  write("tokenizer_config.json", "{}");
  write("generation_config.json", "{}");
  write("tokenizer.json",
        R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
              {"type": "Split", "pattern": {"Regex": "(a)\\1"}, "behavior": "Isolated"},
              {"type": "ByteLevel", "add_prefix_space": false}]},
            "model": {"vocab": {"a": 0, "b": 1, "c": 2}, "merges": []}})");
  expect_error("\\1 is not supported", "tokenizer.json");
}

}  // namespace
}  // namespace mokume
