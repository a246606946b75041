#include "tokenizer/special_splitter.h"

#include <algorithm>

#include "base/utf8.h"

namespace mokume {
namespace {

constexpr std::array<std::string_view, 25> kWhiteSpace = {
    "\t",     "\n",     "\v",     "\f",     "\r",     " ",      "\u0085", "\u00A0", "\u1680",
    "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
    "\u2009", "\u200A", "\u2028", "\u2029", "\u202F", "\u205F", "\u3000"};

/// How many bytes of Unicode's White_Space `text` begins with.
size_t space_at_begin(std::string_view text) {
  std::string_view rest = text;
  const auto begins = [&](std::string_view space) { return rest.starts_with(space); };
  for (;;) {
    const auto space = std::ranges::find_if(kWhiteSpace, begins);
    if (space == kWhiteSpace.end()) return text.size() - rest.size();
    rest.remove_prefix(space->size());
  }
}

size_t space_at_end(std::string_view text) {
  std::string_view rest = text;
  const auto ends = [&](std::string_view space) { return rest.ends_with(space); };
  for (;;) {
    const auto space = std::ranges::find_if(kWhiteSpace, ends);
    if (space == kWhiteSpace.end()) return text.size() - rest.size();
    rest.remove_suffix(space->size());
  }
}

}  // namespace

bool SpecialSplitter::is_special(TokenizerSpec::TokenType type) {
  using Type = TokenizerSpec::TokenType;
  return type == Type::kControl || type == Type::kUserDefined || type == Type::kUnknown;
}

SpecialSplitter::SpecialSplitter(const TokenizerSpec& spec, bool in_normalized_text) {
  for (const auto& finding : spec.findings) findings_.try_emplace(finding.id, finding);
  for (size_t id = 0; id < spec.types.size(); ++id) {
    const std::string_view text = spec.tokens[id];
    if (!is_special(spec.types[id]) || text.empty() || find_invalid_utf8(text)) continue;
    const Entry entry(text, static_cast<TokenId>(id));
    const auto finding = findings_.find(entry.second);
    const bool late = finding != findings_.end() && finding->second.in_normalized_text;
    if (late != in_normalized_text) continue;
    all_.entries.push_back(entry);
    if (spec.types[id] == TokenizerSpec::TokenType::kUserDefined) {
      user_defined_.entries.push_back(entry);
    }
  }
  all_.build();
  user_defined_.build();
}

void SpecialSplitter::Table::build() {
  std::sort(entries.begin(), entries.end());
  const auto same_text = [](const Entry& a, const Entry& b) { return a.first == b.first; };
  entries.erase(std::unique(entries.begin(), entries.end(), same_text), entries.end());
  for (const Entry& entry : entries) ++first[static_cast<unsigned char>(entry.first[0]) + 1u];
  for (size_t byte = 1; byte < first.size(); ++byte) first[byte] += first[byte - 1];
}

/// Narrows the range of entries that agree with `text` byte by byte; the first of such a range is
/// the one that ends there, if any does.
const SpecialSplitter::Entry* SpecialSplitter::Table::longest_prefix_of(
    std::string_view text) const {
  const auto head = static_cast<unsigned char>(text[0]);
  const Entry* begin = entries.data() + first[head];
  const Entry* end = entries.data() + first[head + 1u];
  const Entry* longest = nullptr;
  for (size_t length = 1; begin != end; ++length) {
    if (begin->first.size() == length) longest = begin++;
    if (length == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[length]);
    const auto byte_at = [length](const Entry& entry) {
      return static_cast<unsigned char>(entry.first[length]);
    };
    begin = std::partition_point(begin, end, [&](const Entry& e) { return byte_at(e) < byte; });
    end = std::partition_point(begin, end, [&](const Entry& e) { return byte_at(e) == byte; });
  }
  return longest;
}

std::vector<SpecialSplitter::Fragment> SpecialSplitter::split(std::string_view text,
                                                              bool parse_special) const {
  const Table& table = parse_special ? all_ : user_defined_;
  std::vector<Fragment> fragments;
  size_t plain = 0;
  for (size_t at = 0; at < text.size();) {
    const Entry* entry = table.entries.empty() ? nullptr : table.longest_prefix_of(text.substr(at));
    if (entry == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + entry->first.size();
    const auto finding = findings_.find(entry->second);
    if (finding != findings_.end()) {
      if (finding->second.takes_space_before) begin -= space_at_end(text.substr(plain, at - plain));
      if (finding->second.takes_space_after) end += space_at_begin(text.substr(end));
    }
    if (begin > plain) fragments.push_back({text.substr(plain, begin - plain), std::nullopt});
    fragments.push_back({text.substr(begin, end - begin), entry->second});
    plain = at = end;
  }
  if (plain < text.size()) fragments.push_back({text.substr(plain), std::nullopt});
  return fragments;
}

}  // namespace mokume
