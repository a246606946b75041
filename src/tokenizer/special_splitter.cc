#include "tokenizer/special_splitter.h"

#include <algorithm>

#include "base/utf8.h"

namespace mokume {

bool SpecialSplitter::is_special(TokenizerSpec::TokenType type) {
  using Type = TokenizerSpec::TokenType;
  return type == Type::kControl || type == Type::kUserDefined || type == Type::kUnknown;
}

SpecialSplitter::SpecialSplitter(const TokenizerSpec& spec) {
  for (size_t id = 0; id < spec.types.size(); ++id) {
    const std::string_view text = spec.tokens[id];
    if (!is_special(spec.types[id]) || text.empty() || find_invalid_utf8(text)) continue;
    const Entry entry(text, static_cast<TokenId>(id));
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
    if (at > plain) fragments.push_back({text.substr(plain, at - plain), std::nullopt});
    fragments.push_back({text.substr(at, entry->first.size()), entry->second});
    plain = at += entry->first.size();
  }
  if (plain < text.size()) fragments.push_back({text.substr(plain), std::nullopt});
  return fragments;
}

}  // namespace mokume
