// Vocabularies for tests: the real one of SmolLM2 (tests/data/tokenizer) and a small made one.
#pragma once

#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "tokenizer/byte_unicode.h"
#include "tokenizer/tokenizer.h"

namespace mokume::testing {

inline std::ifstream open_data(const std::string& name) {
  std::ifstream file(MOKUME_SOURCE_DIR "/tests/data/tokenizer/" + name, std::ios::binary);
  if (!file) throw std::runtime_error("no test data " + name);
  return file;
}

/// smollm2.tokens.txt has a token a line, after a letter for its type; smollm2.merges.txt a merge a
/// line.
inline TokenizerSpec smollm2_spec() {
  using Type = TokenizerSpec::TokenType;
  const std::map<char, Type> types = {{'n', Type::kNormal}, {'c', Type::kControl}};
  TokenizerSpec spec;
  spec.pre_tokenizer = "smollm";
  auto tokens = open_data("smollm2.tokens.txt");
  for (std::string line; std::getline(tokens, line);) {
    spec.types.push_back(types.at(line.at(0)));
    spec.tokens.push_back(line.substr(1));
  }
  auto merges = open_data("smollm2.merges.txt");
  for (std::string line; std::getline(merges, line);) spec.merges.push_back(line);
  spec.unknown = 0;
  spec.bos = 1;
  spec.eos = spec.padding = 2;
  return spec;
}

inline std::shared_ptr<const Tokenizer> smollm2() {
  static const std::shared_ptr<const Tokenizer> tokenizer =
      Tokenizer::create(smollm2_spec()).value();
  return tokenizer;
}

/// Tokens 0 to 255 are the bytes.
inline TokenizerSpec byte_spec(std::string pre_tokenizer = "gpt-2") {
  TokenizerSpec spec;
  spec.pre_tokenizer = std::move(pre_tokenizer);
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.push_back(bytes_to_alphabet(std::string(1, static_cast<char>(byte))));
    spec.types.push_back(TokenizerSpec::TokenType::kNormal);
  }
  return spec;
}

/// Appends a token and returns its id.
inline TokenId add_token(TokenizerSpec& spec, std::string text,
                         TokenizerSpec::TokenType type = TokenizerSpec::TokenType::kNormal) {
  spec.tokens.push_back(std::move(text));
  spec.types.push_back(type);
  return static_cast<TokenId>(spec.tokens.size() - 1);
}

}  // namespace mokume::testing
