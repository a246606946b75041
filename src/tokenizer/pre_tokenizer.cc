#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/pre_tokenizer.h"

#include <pcre2.h>

#include <array>
#include <span>
#include <utility>

namespace mokume {
namespace {

// White space is \p{wspace} rather than \s: PCRE2 counts U+180E among \s, Unicode (since 6.3) and
// the vocabularies' own splitters do not.
#define MKM_ENGLISH_ENDINGS "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
#define MKM_AFTER_DIGITS                    \
  "| ?[^\\p{wspace}\\p{L}\\p{N}]+[\\r\\n]*" \
  "|\\p{wspace}*[\\r\\n]+"                  \
  "|\\p{wspace}+(?!\\P{wspace})"            \
  "|\\p{wspace}+"
constexpr const char* kGpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d"
    "| ?\\p{L}+| ?\\p{N}+| ?[^\\p{wspace}\\p{L}\\p{N}]+"
    "|\\p{wspace}+(?!\\P{wspace})|\\p{wspace}+";
constexpr const char* kLlama3 =
    MKM_ENGLISH_ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" MKM_AFTER_DIGITS;
constexpr const char* kQwen2 =
    MKM_ENGLISH_ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" MKM_AFTER_DIGITS;
#undef MKM_ENGLISH_ENDINGS
#undef MKM_AFTER_DIGITS

/// Patterns apply one after the other, each within the pieces that the one before left.
struct Family {
  std::string_view name;
  std::array<const char*, 2> patterns;
  bool prefers_whole_pieces;
};
constexpr Family kFamilies[] = {
    {"default", {kGpt2, nullptr}, false},    {"gpt-2", {kGpt2, nullptr}, false},
    {"llama-bpe", {kLlama3, nullptr}, true}, {"qwen2", {kQwen2, nullptr}, false},
    {"smollm", {"\\p{N}", kGpt2}, false},
};

// No alternative above backtracks over more than one run of white space, so honest and hostile text
// alike stay far below these; they are a second line of defence. Sizes in KiB.
constexpr uint32_t kMatchLimit = 50'000'000;
constexpr uint32_t kHeapLimit = 64 * 1024;

template <auto F>
struct Free {
  template <typename T>
  void operator()(T* p) const {
    F(p);
  }
};
using Code = std::unique_ptr<pcre2_code, Free<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context_free>>;

std::string pcre2_message(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

Result<Code> compile(std::string_view pattern) {
  int error = 0;
  size_t offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset,
                          nullptr));
  if (code == nullptr) {
    return internal_error("tokenizer", "pre-tokenizer pattern: ", pcre2_message(error), " (offset ",
                          offset, ")");
  }
  // Where there is no JIT, matching is interpreted: slower, the same result.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

class RegexPreTokenizer final : public PreTokenizer {
 public:
  RegexPreTokenizer(std::vector<Code> codes, MatchContext context, bool prefers_whole_pieces)
      : codes_(std::move(codes)),
        context_(std::move(context)),
        prefers_whole_pieces_(prefers_whole_pieces) {}

  Result<std::vector<std::string_view>> split(std::string_view text) const override {
    std::vector<std::string_view> pieces, finer;
    if (!text.empty()) pieces.push_back(text);
    for (const Code& code : codes_) {
      MatchData data(pcre2_match_data_create(1, nullptr));
      if (data == nullptr) return resource_exhausted("tokenizer", "no memory to match text");
      finer.clear();
      for (std::string_view piece : pieces) {
        MKM_RETURN_IF_ERROR(split_piece(code.get(), data.get(), piece, finer));
      }
      pieces.swap(finer);
    }
    return pieces;
  }

  bool prefers_whole_pieces() const override { return prefers_whole_pieces_; }

 private:
  /// Appends the matches within `piece` and the gaps between them.
  Status split_piece(const pcre2_code* code, pcre2_match_data* data, std::string_view piece,
                     std::vector<std::string_view>& out) const {
    const size_t* bounds = pcre2_get_ovector_pointer(data);
    size_t at = 0;
    while (at < piece.size()) {
      const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(),
                                    at, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data, context_.get());
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) {
        return resource_exhausted("tokenizer",
                                  "the text is too hard to split: ", pcre2_message(found),
                                  " (byte ", at, ")");
      }
      if (bounds[0] > at) out.push_back(piece.substr(at, bounds[0] - at));
      out.push_back(piece.substr(bounds[0], bounds[1] - bounds[0]));
      at = bounds[1];
    }
    if (at < piece.size()) out.push_back(piece.substr(at));
    return absl::OkStatus();
  }

  std::vector<Code> codes_;
  MatchContext context_;
  bool prefers_whole_pieces_;
};

Status unknown_name(std::string_view name) {
  std::string known;
  for (const Family& family : kFamilies) {
    known += known.empty() ? "" : ", ";
    known += family.name;
  }
  return not_found("tokenizer", "pre-tokenizer \"", name.substr(0, 64),
                   "\" is not known; known are ", known, " (tokenizer.ggml.pre)");
}

}  // namespace

Result<std::unique_ptr<const PreTokenizer>> PreTokenizer::create(std::string_view name) {
  for (const Family& family : kFamilies) {
    if (family.name != name) continue;
    std::vector<Code> codes;
    for (const char* pattern : family.patterns) {
      if (pattern == nullptr) continue;
      MKM_ASSIGN_OR_RETURN(Code code, compile(pattern));
      codes.push_back(std::move(code));
    }
    MatchContext context(pcre2_match_context_create(nullptr));
    if (context == nullptr) return resource_exhausted("tokenizer", "no memory to match text");
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimit);
    return std::make_unique<RegexPreTokenizer>(std::move(codes), std::move(context),
                                               family.prefers_whole_pieces);
  }
  return unknown_name(name);
}

}  // namespace mokume
