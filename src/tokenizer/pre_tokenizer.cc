#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer/pre_tokenizer.h"

#include <pcre2.h>

#include <array>
#include <utility>

#include "base/text.h"
#include "tokenizer/split_pattern.h"

namespace mokume {
namespace {

// No alternative of the known families backtracks over more than one run of white space, so honest
// and hostile text alike stay far below these; they are a second line of defence. Sizes in KiB.
constexpr uint32_t kMatchLimit = 50'000'000;
constexpr uint32_t kHeapLimit = 64 * 1024;

// What a pattern that is not a known family's may do: it comes with the checkpoint, and might
// backtrack without end. Counted in items of the pattern tried and bytes passed.
constexpr int64_t kWorkPerByte = 2000;
constexpr int64_t kWorkAtLeast = 1'000'000;

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
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context_free>>;

std::string pcre2_message(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// What is left of the work that one text may cost.
struct Allowance {
  int64_t left;
  size_t position = 0;
};

/// Before each item of the pattern.
int charge(pcre2_callout_block* block, void* data) {
  auto& allowance = *static_cast<Allowance*>(data);
  const size_t now = block->current_position;
  const size_t moved =
      now > allowance.position ? now - allowance.position : allowance.position - now;
  allowance.position = now;
  allowance.left -= 1 + static_cast<int64_t>(moved);
  return allowance.left < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

struct CompiledRule {
  Code code;
  bool keeps_gaps;
};

Result<Code> compile(const std::string& pattern, bool charged) {
  MKM_ASSIGN_OR_RETURN(const std::string translated, to_pcre2(pattern));
  const CompileContext context(pcre2_compile_context_create(nullptr));
  if (context == nullptr) return resource_exhausted("tokenizer", "no memory for a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t offset = 0;
  Code code(pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | (charged ? PCRE2_AUTO_CALLOUT : 0u), &error,
      &offset, context.get()));
  if (code == nullptr) {
    return invalid_argument("tokenizer", "the pattern ", quote(pattern),
                            " cannot be read: ", pcre2_message(error), " (offset ", offset, " of ",
                            quote(translated), ")");
  }
  uint32_t matches_nothing = 0;
  pcre2_pattern_info(code.get(), PCRE2_INFO_MATCHEMPTY, &matches_nothing);
  if (matches_nothing != 0) {
    return absl::UnimplementedError(str_cat("[tokenizer] the pattern ", quote(pattern),
                                            " can match nothing, which is not supported"));
  }
  // Where there is no JIT, matching is interpreted: slower, the same result.
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

Result<MatchContext> limits() {
  MatchContext context(pcre2_match_context_create(nullptr));
  if (context == nullptr) return resource_exhausted("tokenizer", "no memory to match text");
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimit);
  return context;
}

class RegexPreTokenizer final : public PreTokenizer {
 public:
  RegexPreTokenizer(std::vector<CompiledRule> rules, bool charged, bool prefers_whole_pieces)
      : rules_(std::move(rules)), charged_(charged), prefers_whole_pieces_(prefers_whole_pieces) {}

  Result<std::vector<std::string_view>> split(std::string_view text) const override {
    std::vector<std::string_view> pieces, finer;
    if (!text.empty()) pieces.push_back(text);
    MKM_ASSIGN_OR_RETURN(const MatchContext context, limits());
    Allowance allowance{kWorkAtLeast + kWorkPerByte * static_cast<int64_t>(text.size())};
    if (charged_) pcre2_set_callout(context.get(), charge, &allowance);
    for (const CompiledRule& rule : rules_) {
      const MatchData data(pcre2_match_data_create(1, nullptr));
      if (data == nullptr) return resource_exhausted("tokenizer", "no memory to match text");
      finer.clear();
      for (std::string_view piece : pieces) {
        MKM_RETURN_IF_ERROR(split_piece(rule, data.get(), context.get(), piece, finer));
      }
      pieces.swap(finer);
    }
    return pieces;
  }

  bool prefers_whole_pieces() const override { return prefers_whole_pieces_; }

 private:
  /// Appends the matches within `piece` and, if they are kept, the gaps between them.
  static Status split_piece(const CompiledRule& rule, pcre2_match_data* data,
                            pcre2_match_context* context, std::string_view piece,
                            std::vector<std::string_view>& out) {
    const size_t* bounds = pcre2_get_ovector_pointer(data);
    size_t at = 0;
    const auto gap = [&](size_t end) {
      if (end > at && rule.keeps_gaps) out.push_back(piece.substr(at, end - at));
    };
    while (at < piece.size()) {
      const int found =
          pcre2_match(rule.code.get(), reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), at,
                      PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data, context);
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) {
        return resource_exhausted("tokenizer",
                                  "the text is too hard to split: ", pcre2_message(found),
                                  " (byte ", at, ")");
      }
      gap(bounds[0]);
      out.push_back(piece.substr(bounds[0], bounds[1] - bounds[0]));
      at = bounds[1];
    }
    gap(piece.size());
    return absl::OkStatus();
  }

  std::vector<CompiledRule> rules_;
  bool charged_;
  bool prefers_whole_pieces_;
};

}  // namespace

Result<std::unique_ptr<const PreTokenizer>> PreTokenizer::create(std::string_view name) {
  MKM_ASSIGN_OR_RETURN(const Splitting splitting, splitting_of(name));
  return create(splitting);
}

Result<std::unique_ptr<const PreTokenizer>> PreTokenizer::create(const Splitting& splitting) {
  if (splitting.rules.size() > kMaxRules) {
    return invalid_argument("tokenizer", splitting.rules.size(), " rules to split by; at most ",
                            kMaxRules);
  }
  Splitting either = splitting;
  either.prefers_whole_pieces = !splitting.prefers_whole_pieces;
  const bool charged = name_of(splitting).empty() && name_of(either).empty();
  std::vector<CompiledRule> rules;
  for (const SplitRule& rule : splitting.rules) {
    MKM_ASSIGN_OR_RETURN(Code code, compile(rule.pattern, charged));
    rules.push_back({std::move(code), rule.keeps_gaps});
  }
  return std::make_unique<RegexPreTokenizer>(std::move(rules), charged,
                                             splitting.prefers_whole_pieces);
}

}  // namespace mokume
