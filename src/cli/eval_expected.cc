#include "cli/eval_expected.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/forward.h"
#include "cli/progress.h"
#include "runtime/runtime.h"
#include "weights/mapped_file.h"
#include "weights/safetensors.h"
#include "weights/safetensors_header.h"

namespace mokume {
namespace {

/// What the file says: row i of the logits follows ids[i].
struct Expected {
  std::vector<int32_t> ids;     ///< the prompt, then all greedy ids but the last
  std::vector<int32_t> greedy;  ///< the largest of row greedy_from + i
  int greedy_from = 0;
  std::vector<TensorView> rows_of;  ///< logits, greedy_logits
  std::shared_ptr<WeightSource> file;

  /// Row i of prompt and continuation; the first greedy row is the prompt's last.
  void row(size_t i, std::span<float> out) const {
    const auto prompt = static_cast<size_t>(greedy_from) + 1;
    const bool first = i < prompt;
    dequantize_row(rows_of[first ? 0 : 1], static_cast<int64_t>(first ? i : i - prompt + 1), out);
  }
};

Result<std::vector<int32_t>> read_ids(std::span<const std::byte> bytes, std::string_view name,
                                      const std::string& path, int vocab) {
  MKM_ASSIGN_OR_RETURN(const std::vector<int64_t> values, safetensors_integers(bytes, name, path));
  std::vector<int32_t> ids;
  for (const int64_t value : values) {
    if (value < 0 || value >= vocab) {
      return invalid_argument("eval", "tensor ", name, " has the id ", value,
                              "; the vocabulary has ", vocab, " (", path, ")");
    }
    ids.push_back(static_cast<int32_t>(value));
  }
  if (!ids.empty()) return ids;
  return invalid_argument("eval", "tensor ", name, " is empty (", path, ")");
}

Result<TensorView> read_rows(const WeightSource& file, std::string_view name, size_t rows,
                             int vocab) {
  MKM_ASSIGN_OR_RETURN(TensorView view, file.tensor(name));
  if (view.rank == 2 && view.dtype == DType::kF32 && view.shape[0] == static_cast<int64_t>(rows) &&
      view.shape[1] == vocab) {
    return view;
  }
  return invalid_argument("eval", "tensor ", name, " is ", to_string(view), "; must be [", rows,
                          ", ", vocab, "] F32 (", file.path(), ")");
}

Result<Expected> read_expected(const std::string& path, int vocab) {
  MKM_ASSIGN_OR_RETURN(const auto mapping, MappedFile::open(path));
  Expected expected;
  MKM_ASSIGN_OR_RETURN(expected.file, SafetensorsFile::open(path));
  MKM_ASSIGN_OR_RETURN(expected.ids, read_ids(mapping->bytes(), "prompt", path, vocab));
  MKM_ASSIGN_OR_RETURN(TensorView logits,
                       read_rows(*expected.file, "logits", expected.ids.size(), vocab));
  expected.greedy_from = static_cast<int>(expected.ids.size()) - 1;
  expected.rows_of.push_back(std::move(logits));
  if (!expected.file->contains("greedy")) return expected;
  MKM_ASSIGN_OR_RETURN(expected.greedy, read_ids(mapping->bytes(), "greedy", path, vocab));
  MKM_ASSIGN_OR_RETURN(TensorView rows,
                       read_rows(*expected.file, "greedy_logits", expected.greedy.size(), vocab));
  expected.rows_of.push_back(std::move(rows));
  expected.ids.insert(expected.ids.end(), expected.greedy.begin(), expected.greedy.end() - 1);
  return expected;
}

struct GreedyRow {
  bool same = false;
  double margin = 0;  ///< between the two largest saved logits
};

struct Agreement {
  double largest = 0;
  double squares = 0;
  uint64_t values = 0;
  std::vector<GreedyRow> greedy;

  double rms() const { return std::sqrt(squares / static_cast<double>(values)); }
  int decided() const {
    return static_cast<int>(
        std::ranges::count_if(greedy, [&](const GreedyRow& r) { return r.margin > 2 * largest; }));
  }
  int same() const {
    return static_cast<int>(std::ranges::count_if(
        greedy, [&](const GreedyRow& r) { return r.margin > 2 * largest && r.same; }));
  }
};

void compare(std::span<const float> actual, std::span<const float> wanted, Agreement& agreement) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double difference = std::fabs(double{actual[i]} - wanted[i]);
    // A NaN is the largest difference there is.
    if (!(difference <= agreement.largest)) agreement.largest = difference;
    agreement.squares += difference * difference;
  }
  agreement.values += wanted.size();
}

GreedyRow compare_greedy(std::span<const float> actual, std::vector<float>& wanted, int32_t id) {
  const auto largest = std::ranges::max_element(actual) - actual.begin();
  std::ranges::partial_sort(wanted, wanted.begin() + std::min<ptrdiff_t>(2, std::ssize(wanted)),
                            std::greater<>());
  return {largest == id, wanted.size() < 2 ? 0 : double{wanted[0]} - wanted[1]};
}

void print(const EvalOptions& options, const Agreement& agreement, std::ostream& out) {
  if (options.json) {
    out << nlohmann::json{{"max_error", agreement.largest},
                          {"rms_error", agreement.rms()},
                          {"greedy_decided", agreement.decided()},
                          {"greedy_same", agreement.same()},
                          {"greedy", agreement.greedy.size()},
                          {"exact", options.exact},
                          {"model", options.config.model.path}}
               .dump(2)
        << '\n';
    return;
  }
  out << "logits: largest difference " << agreement.largest << ", rms " << agreement.rms() << '\n';
  if (agreement.greedy.empty()) return;
  out << "greedy ids: " << agreement.same() << " of " << agreement.decided() << " the same (of "
      << agreement.greedy.size()
      << ", those that differ by more than twice the largest difference from the next)\n";
}

}  // namespace

Status eval_expected(const EvalOptions& options, const std::string& path, std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load_for_eval(options));
  MKM_ASSIGN_OR_RETURN(const Expected expected, read_expected(path, runtime.spec().vocab_size));
  std::vector<float> wanted(static_cast<size_t>(runtime.spec().vocab_size));
  Agreement agreement;
  MKM_RETURN_IF_ERROR(forward(runtime, expected.ids, [&](int token, std::span<const float> actual) {
    expected.row(static_cast<size_t>(token), wanted);
    compare(actual, wanted, agreement);
    const auto greedy = static_cast<size_t>(token - expected.greedy_from);
    if (token < expected.greedy_from || greedy >= expected.greedy.size()) return;
    agreement.greedy.push_back(compare_greedy(actual, wanted, expected.greedy[greedy]));
  }));
  print(options, agreement, out);
  return absl::OkStatus();
}

}  // namespace mokume
