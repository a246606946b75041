// Any text over small vocabularies: encoding must not fail on UTF-8, decoding must give the text
// back, and a stream must equal the whole. The first byte picks pre-tokenizer and options; what is
// no text is ids.
#include <cstdlib>
#include <iterator>

#include "base/utf8.h"
#include "tokenizer/byte_unicode.h"
#include "tokenizer/tokenizer.h"

namespace {

using mokume::TokenId;
using mokume::Tokenizer;
using mokume::TokenizerSpec;

constexpr const char* kPreTokenizers[] = {"gpt-2", "llama-bpe", "qwen2", "smollm"};

std::shared_ptr<const Tokenizer> make_tokenizer(const char* pre_tokenizer) {
  TokenizerSpec spec;
  spec.pre_tokenizer = pre_tokenizer;
  const auto add = [&spec](std::string text, TokenizerSpec::TokenType type) {
    spec.tokens.push_back(std::move(text));
    spec.types.push_back(type);
  };
  for (int byte = 0; byte < 256; ++byte) {
    add(mokume::bytes_to_alphabet(std::string(1, static_cast<char>(byte))),
        TokenizerSpec::TokenType::kNormal);
  }
  for (const char* text : {"aa", "aaaa", "ab", "\u0120a", "\u0120\u0120", "\u00C3\u00A9"}) {
    add(text, TokenizerSpec::TokenType::kNormal);
  }
  for (const char* text : {"<|", "<|a|>", "<|a|><|a|>"}) {
    add(text, TokenizerSpec::TokenType::kControl);
  }
  add("  \n", TokenizerSpec::TokenType::kUserDefined);
  spec.merges = {"a a", "aa aa", "a b", "ab a", "\u0120 a", "\u0120 \u0120", "\u00C3 \u00A9"};
  return Tokenizer::create(std::move(spec)).value();
}

void require(bool holds) {
  if (!holds) std::abort();
}

std::string stream(const std::shared_ptr<const Tokenizer>& tokenizer,
                   const std::vector<TokenId>& ids) {
  mokume::StreamDecoder decoder(tokenizer, true);
  std::string text;
  for (TokenId id : ids) {
    const std::string piece = decoder.push(id);
    require(!mokume::find_invalid_utf8(piece));
    text += piece;
  }
  return text + decoder.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const Tokenizer> tokenizers[] = {
      make_tokenizer(kPreTokenizers[0]), make_tokenizer(kPreTokenizers[1]),
      make_tokenizer(kPreTokenizers[2]), make_tokenizer(kPreTokenizers[3])};
  if (size == 0) return 0;
  const auto& tokenizer = tokenizers[data[0] % std::size(tokenizers)];
  const bool parse_special = (data[0] & 0x80) != 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);

  const auto ids = tokenizer->encode(text, {.parse_special = parse_special});
  require(ids.ok() == !mokume::find_invalid_utf8(text).has_value());
  if (ids.ok()) {
    require(tokenizer->decode(*ids, true) == text);
    require(stream(tokenizer, *ids) == text);
  }
  const std::vector<TokenId> any(data + 1, data + size);
  require(tokenizer->decode(any, true) == mokume::replace_invalid_utf8(text));
  require(stream(tokenizer, any) == tokenizer->decode(any, true));
  return 0;
}
