// What the families of byte-level vocabularies split by, as their tokenizer.json files say it.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "tokenizer/pre_tokenizer.h"

namespace mokume {
namespace {

constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
#define MKM_ENDINGS R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|)"
#define MKM_SPACES R"(|\s*[\r\n]+|\s+(?!\S)|\s+)"
constexpr const char* kLlama3 =
    MKM_ENDINGS R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" MKM_SPACES;
constexpr const char* kQwen2 =
    MKM_ENDINGS R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)" MKM_SPACES;
constexpr const char* kQwen35 = MKM_ENDINGS
    R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" MKM_SPACES;
#undef MKM_ENDINGS
#undef MKM_SPACES

struct Family {
  std::string_view name;
  std::array<const char*, 2> patterns;
  bool prefers_whole_pieces;
};
// Of families that split alike, the first gives the name.
constexpr Family kFamilies[] = {
    {"gpt-2", {kGpt2, nullptr}, false},      {"default", {kGpt2, nullptr}, false},
    {"llama-bpe", {kLlama3, nullptr}, true}, {"qwen2", {kQwen2, nullptr}, false},
    {"qwen35", {kQwen35, nullptr}, false},   {"smollm", {kDigit, kGpt2}, false},
};

Splitting splitting_of(const Family& family) {
  Splitting splitting;
  for (const char* pattern : family.patterns) {
    if (pattern != nullptr) splitting.rules.push_back({pattern});
  }
  splitting.prefers_whole_pieces = family.prefers_whole_pieces;
  return splitting;
}

}  // namespace

Result<Splitting> splitting_of(std::string_view name) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.name == name) return splitting_of(family);
    known += str_cat(known.empty() ? "" : ", ", family.name);
  }
  return not_found("tokenizer", "pre-tokenizer ", quote(name), " is not known; known are ", known,
                   " (tokenizer.ggml.pre)");
}

std::string_view name_of(const Splitting& splitting) {
  for (const Family& family : kFamilies) {
    if (splitting_of(family) == splitting) return family.name;
  }
  return "";
}

}  // namespace mokume
