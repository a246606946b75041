#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tokenizer/byte_unicode.h"

namespace mokume {
namespace {

std::vector<std::string> merge(const MergeTable& table, std::string_view word) {
  std::vector<std::string> parts;
  WordMerger merger(table);
  for (const auto& part : merger.merge(word)) {
    parts.push_back(table.symbols()[static_cast<size_t>(part.symbol)]);
    EXPECT_EQ(word.substr(part.begin, parts.back().size()), parts.back());
  }
  return parts;
}

/// The definition, step by step: of all neighbours the best-ranked pair, the leftmost of equals.
std::vector<std::string> merge_naively(const std::vector<std::string>& merges,
                                       std::string_view word) {
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const size_t space = merges[rank].find(' ', 1);
    ranks.try_emplace({merges[rank].substr(0, space), merges[rank].substr(space + 1)}, rank);
  }
  std::vector<std::string> parts;
  for (char byte : word) parts.emplace_back(1, byte);
  while (true) {
    size_t best = parts.size(), best_rank = merges.size();
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found != ranks.end() && found->second < best_rank) {
        best = i;
        best_rank = found->second;
      }
    }
    if (best == parts.size()) return parts;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, EqualsTheDefinitionOnRandomMergesAndWords) {
  std::mt19937 random(3);
  const auto text = [&random](size_t longest) {
    std::string s(1 + random() % longest, 'a');
    for (char& c : s) c = static_cast<char>('a' + random() % 3);
    return s;
  };
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::string> merges(random() % 30);
    for (std::string& merge : merges) merge = text(3) + " " + text(3);
    const auto table = MergeTable::create(merges).value();
    const std::string word = text(40);
    ASSERT_EQ(merge(table, word), merge_naively(merges, word));
  }
}

TEST(Bpe, RankGoesBeforePlaceAndPlaceBreaksTies) {
  const std::vector<std::string> merges = {"b c", "a b", "a a"};
  const auto table = MergeTable::create(merges).value();
  EXPECT_EQ(merge(table, "abc"), (std::vector<std::string>{"a", "bc"}));
  EXPECT_EQ(merge(table, "aaa"), (std::vector<std::string>{"aa", "a"}));
  EXPECT_EQ(merge(table, ""), std::vector<std::string>{});
}

TEST(Bpe, ReadsTheAlphabetAndTheFirstOfEqualMerges) {
  // U+0120 stands for the space.
  const std::vector<std::string> merges = {"\u0120 a", "b c",  "\u0120 a", "c d",
                                           "b c",      "漢 a", "é é"};
  const auto table = MergeTable::create(merges).value();
  EXPECT_EQ(merge(table, " abcd"), (std::vector<std::string>{" a", "bc", "d"}));
}

TEST(Bpe, AMergeWithoutTwoSidesIsAnError) {
  for (const char* line : {"", " ", "a", "a ", " a", "ab"}) {
    const std::vector<std::string> merges = {"x y", line};
    const auto status = MergeTable::create(merges).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << line;
    EXPECT_EQ(status.message(), "[tokenizer] merge is not \"left right\" (merge 1)");
  }
}

TEST(ByteUnicode, IsABijectionOfTheBytes) {
  std::string all(256, '\0');
  for (size_t byte = 0; byte < 256; ++byte) all[byte] = static_cast<char>(byte);
  EXPECT_EQ(alphabet_to_bytes(bytes_to_alphabet(all)), all);
  EXPECT_EQ(bytes_to_alphabet("A \n\x7F\xA0\xAD\xFF"), "A\u0120\u010A\u0121\u0142\u0143\u00FF");
  EXPECT_EQ(bytes_to_alphabet(std::string(1, '\0')), "\u0100");
  for (std::string_view no : {" ", "\n", "\u00AD", "\u0144", "漢", "\xC3", "\xC1\xA1", "\x80"}) {
    EXPECT_EQ(alphabet_to_bytes(no), std::nullopt) << no;
  }
}

}  // namespace
}  // namespace mokume
