#include "quantize/synthetic_tokenizer.h"

#include <vector>

#include "tokenizer/byte_unicode.h"

namespace mokume {
namespace {

struct Special {
  TokenId id;
  std::string_view text;
};

std::vector<Special> chat_ml_specials() {
  return {{248044, "<|endoftext|>"}, {248045, "<|im_start|>"}, {248046, "<|im_end|>"}};
}
std::vector<Special> llama3_specials() {
  return {{128000, "<|begin_of_text|>"},
          {128001, "<|end_of_text|>"},
          {128006, "<|start_header_id|>"},
          {128007, "<|end_header_id|>"},
          {128009, "<|eot_id|>"}};
}

constexpr std::string_view kChatMlTemplate =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";
constexpr std::string_view kLlama3Template =
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
    "message['content'] + '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}";

constexpr int kBytes = 256;

/// " ba", ..., " zu", " baba", ...: each number another word.
std::string word(int number) {
  constexpr std::string_view kConsonants = "bdfghjklmnprstvz", kVowels = "aeiou";
  constexpr int kSyllables = static_cast<int>(kConsonants.size() * kVowels.size());
  std::string text;
  for (int rest = number; rest >= 0; rest = rest / kSyllables - 1) {
    const auto syllable = static_cast<size_t>(rest % kSyllables);
    text = std::string{kConsonants[syllable / kVowels.size()], kVowels[syllable % kVowels.size()]} +
           text;
  }
  return " " + text;
}

TokenizerSpec bytes_and_words(int vocab, const std::vector<Special>& specials) {
  TokenizerSpec spec;
  for (int id = 0; id < vocab; ++id) {
    const std::string text =
        id < kBytes ? std::string(1, static_cast<char>(id)) : word(id - kBytes);
    spec.tokens.push_back(bytes_to_alphabet(text));
  }
  spec.types.assign(spec.tokens.size(), TokenizerSpec::TokenType::kNormal);
  for (const Special& special : specials) {
    spec.tokens[static_cast<size_t>(special.id)] = special.text;
    spec.types[static_cast<size_t>(special.id)] = TokenizerSpec::TokenType::kControl;
  }
  return spec;
}

}  // namespace

Result<SyntheticTokenizer> make_synthetic_tokenizer(ChatStyle style, int vocab) {
  const bool chat_ml = style == ChatStyle::kChatMl;
  std::vector<Special> specials = chat_ml ? chat_ml_specials() : llama3_specials();
  if (vocab < kBytes + static_cast<int>(specials.size())) {
    return invalid_argument("quantize", "a vocabulary of ", vocab,
                            " tokens has no place for bytes and special tokens");
  }
  if (vocab <= specials.back().id) {
    for (size_t i = 0; i < specials.size(); ++i) {
      specials[i].id = vocab - static_cast<int>(specials.size() - i);
    }
  }
  TokenizerSpec spec = bytes_and_words(vocab, specials);
  spec.pre_tokenizer = chat_ml ? "qwen35" : "llama-bpe";
  spec.eos = specials.back().id;
  if (chat_ml) {
    spec.padding = specials.front().id;
    spec.end_of_generation = {specials.front().id};
  } else {
    spec.bos = specials.front().id;
    spec.add_bos = true;
    spec.end_of_generation = {specials[1].id};
  }
  SyntheticTokenizer made;
  MKM_ASSIGN_OR_RETURN(made.tokenizer, Tokenizer::create(std::move(spec)));
  made.chat_template = chat_ml ? kChatMlTemplate : kLlama3Template;
  return made;
}

}  // namespace mokume
