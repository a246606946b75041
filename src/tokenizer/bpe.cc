#include "tokenizer/bpe.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "tokenizer/byte_unicode.h"

namespace mokume {
namespace {

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

/// Gives every distinct byte string one number.
class SymbolNumbers {
 public:
  SymbolNumbers() {
    for (int byte = 0; byte < 256; ++byte) number(std::string(1, static_cast<char>(byte)));
  }
  int32_t number(const std::string& bytes) {
    return numbers_.try_emplace(bytes, static_cast<int32_t>(numbers_.size())).first->second;
  }
  std::vector<std::string> in_order() const {
    std::vector<std::string> symbols(numbers_.size());
    for (const auto& [bytes, number] : numbers_) symbols[static_cast<size_t>(number)] = bytes;
    return symbols;
  }

 private:
  absl::flat_hash_map<std::string, int32_t> numbers_;
};

}  // namespace

Result<MergeTable> MergeTable::create(std::span<const std::string> merges) {
  if (merges.size() > kMaxMerges) {
    return invalid_argument("tokenizer", merges.size(), " merges; at most ", kMaxMerges);
  }
  MergeTable table;
  SymbolNumbers numbers;
  table.merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view line = merges[rank];
    const size_t space = line.find(' ', 1);
    if (line.empty() || space == std::string_view::npos || space + 1 == line.size()) {
      return invalid_argument("tokenizer", "merge is not \"left right\" (merge ", rank, ")");
    }
    const auto left = alphabet_to_bytes(line.substr(0, space));
    const auto right = alphabet_to_bytes(line.substr(space + 1));
    if (!left || !right) continue;
    const uint64_t key = pair_key(numbers.number(*left), numbers.number(*right));
    table.merges_.try_emplace(key,
                              Merge{static_cast<int32_t>(rank), numbers.number(*left + *right)});
  }
  table.symbols_ = numbers.in_order();
  return table;
}

const MergeTable::Merge* MergeTable::find(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::span<const WordMerger::Part> WordMerger::merge(std::string_view word) {
  // A min-heap under std::push_heap, which keeps the greatest first.
  const auto worse = [](const Candidate& a, const Candidate& b) {
    return std::tie(a.rank, a.left_node) > std::tie(b.rank, b.left_node);
  };
  const auto size = static_cast<int32_t>(word.size());
  nodes_.clear();
  heap_.clear();
  parts_.clear();
  for (int32_t i = 0; i < size; ++i) {
    nodes_.push_back({static_cast<unsigned char>(word[static_cast<size_t>(i)]), i - 1,
                      i + 1 < size ? i + 1 : -1});
  }
  for (int32_t i = 0; i + 1 < size; ++i) propose(i);
  std::make_heap(heap_.begin(), heap_.end(), worse);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), worse);
    const Candidate best = heap_.back();
    heap_.pop_back();
    if (!still_stands(best)) continue;
    join(best.left_node, table_.find(best.left_symbol, best.right_symbol)->symbol);
    for (int32_t left : {nodes_[static_cast<size_t>(best.left_node)].previous, best.left_node}) {
      const size_t before = heap_.size();
      propose(left);
      if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end(), worse);
    }
  }
  for (int32_t i = size > 0 ? 0 : -1; i >= 0; i = nodes_[static_cast<size_t>(i)].next) {
    parts_.push_back({nodes_[static_cast<size_t>(i)].symbol, static_cast<uint32_t>(i)});
  }
  return parts_;
}

/// Appends to the heap's vector the merge of `left_node` and its right neighbour, if there is one.
void WordMerger::propose(int32_t left_node) {
  if (left_node < 0) return;
  const Node& left = nodes_[static_cast<size_t>(left_node)];
  if (left.next < 0) return;
  const int32_t right_symbol = nodes_[static_cast<size_t>(left.next)].symbol;
  if (const auto* merge = table_.find(left.symbol, right_symbol)) {
    heap_.push_back({merge->rank, left_node, left.symbol, right_symbol});
  }
}

/// False once either side has grown or gone.
bool WordMerger::still_stands(const Candidate& candidate) const {
  const Node& left = nodes_[static_cast<size_t>(candidate.left_node)];
  return left.symbol == candidate.left_symbol && left.next >= 0 &&
         nodes_[static_cast<size_t>(left.next)].symbol == candidate.right_symbol;
}

void WordMerger::join(int32_t left_node, int32_t symbol) {
  Node& left = nodes_[static_cast<size_t>(left_node)];
  Node& right = nodes_[static_cast<size_t>(left.next)];
  left.symbol = symbol;
  left.next = right.next;
  right.symbol = -1;
  if (left.next >= 0) nodes_[static_cast<size_t>(left.next)].previous = left_node;
}

}  // namespace mokume
