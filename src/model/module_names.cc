#include "model/module_names.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/escaping.h"

namespace mokume {
namespace {

constexpr size_t kMaxNames = 100'000;
constexpr size_t kMaxPatterns = 256;
constexpr size_t kMaxPatternBytes = 512;
constexpr int64_t kMaxPatternMemory = 256 << 10;  // compiled, and for matching
constexpr std::string_view kRegex = "re:";

std::string quoted(std::string_view text) {
  return str_cat("\"", absl::CHexEscape(std::string(text.substr(0, 100))), "\"");
}

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

ModuleNames::ModuleNames() = default;
ModuleNames::~ModuleNames() = default;
ModuleNames::ModuleNames(ModuleNames&&) noexcept = default;
ModuleNames& ModuleNames::operator=(ModuleNames&&) noexcept = default;

Status ModuleNames::add(std::string_view entry) {
  if (entry.starts_with(kRegex)) {
    return add_pattern(entry, std::string(entry.substr(kRegex.size())));
  }
  if (entry == "Linear") {
    all_linear_ = true;
    return absl::OkStatus();
  }
  return add_name(entry, exact_);
}

Status ModuleNames::add_name(std::string_view name, Names& names) {
  if (names.size() == kMaxNames) {
    return invalid_argument("model", "more than ", kMaxNames, " modules are listed");
  }
  names.emplace(name);
  return absl::OkStatus();
}

Status ModuleNames::add_glob(std::string_view glob) {
  if (glob.find_first_of("[]") != std::string_view::npos) {
    return invalid_argument("model", "pattern ", quoted(glob), ": only * and ? are supported");
  }
  if (glob.find_first_of("*?") == std::string_view::npos) return add_name(glob, above_);
  std::string pattern;
  for (size_t i = 0; i < glob.size(); ++i) {
    const std::string_view character = glob.substr(i, 1);
    const bool any = character == "*" || character == "?";
    pattern += any ? "." : RE2::QuoteMeta(piece(character));
    if (character == "*") pattern += "*";
  }
  return add_pattern(glob, pattern + R"((\.|$))");
}

Status ModuleNames::add_pattern(std::string_view entry, const std::string& pattern) {
  if (patterns_.size() == kMaxPatterns || pattern.size() > kMaxPatternBytes) {
    return invalid_argument("model", "pattern ", quoted(entry), ": at most ", kMaxPatterns,
                            " patterns of ", kMaxPatternBytes, " characters are supported");
  }
  RE2::Options options(RE2::Quiet);
  options.set_max_mem(kMaxPatternMemory);
  auto compiled = std::make_unique<RE2>(pattern, options);
  if (!compiled->ok()) {
    return invalid_argument("model", "pattern ", quoted(entry),
                            " cannot be used: ", absl::CHexEscape(compiled->error()));
  }
  patterns_.push_back(std::move(compiled));
  return absl::OkStatus();
}

ModuleNames::Match ModuleNames::match(std::string_view name) const {
  if (exact_.contains(name) || above_.contains(name)) return Match::kExact;
  for (size_t dot = 0; (dot = name.find('.', dot)) != std::string_view::npos; ++dot) {
    if (above_.contains(name.substr(0, dot))) return Match::kPattern;
  }
  const auto matches = [&](const std::unique_ptr<RE2>& pattern) {
    return pattern->Match(piece(name), 0, name.size(), RE2::ANCHOR_START, nullptr, 0);
  };
  if (std::ranges::any_of(patterns_, matches)) return Match::kPattern;
  return all_linear_ ? Match::kClass : Match::kNone;
}

}  // namespace mokume
