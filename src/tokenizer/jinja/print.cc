// str() and repr().
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/value.h"

namespace mokume::jinja {
namespace {

class Printer {
 public:
  explicit Printer(Budget& budget) : budget_(budget) {}

  void repr(const Value& value) {
    budget_.step();
    budget_.check(out.size());
    if (const auto* text = value.as_text()) {
      budget_.work(text->size());
      out += quoted_text(*text);
    } else if (const auto* sequence = value.as_sequence()) {
      print_sequence(*sequence);
    } else if (const auto* dict = value.as_dict()) {
      print_dict(*dict);
    } else if (value.is_undefined()) {
      out += "Undefined";
    } else {
      print_scalar(value);
    }
  }

  void print_scalar(const Value& value) {
    if (value.is_none()) {
      out += "None";
    } else if (const auto* b = value.get<bool>()) {
      out += *b ? "True" : "False";
    } else if (const auto* i = value.get<int64_t>()) {
      out += str_cat(*i);
    } else if (const auto* d = value.get<double>()) {
      out += float_text(*d);
    } else {
      out += str_cat("<", value.type_name(), ">");
    }
  }

  std::string out;

 private:
  void print_sequence(const Sequence& sequence) {
    if (sequence.kind == SequenceKind::kRange) return print_range(sequence);
    const bool is_tuple = sequence.kind == SequenceKind::kTuple;
    out += is_tuple ? '(' : '[';
    for (size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out += ", ";
      repr(sequence.items[i]);
    }
    if (is_tuple && sequence.items.size() == 1) out += ',';
    out += is_tuple ? ')' : ']';
  }

  void print_range(const Sequence& range) {
    const auto at = [&](size_t i) { return *range.items[i].get<int64_t>(); };
    const size_t n = range.items.size();
    const int64_t begin = n > 0 ? at(0) : 0;
    const int64_t step = n > 1 ? at(1) - begin : 1;
    const int64_t end = n > 0 ? at(n - 1) + step : 0;
    out += str_cat("range(", begin, ", ", end);
    if (step != 1) out += str_cat(", ", step);
    out += ')';
  }

  void print_dict(const Dict& dict) {
    out += '{';
    bool first = true;
    for (const auto& entry : dict.entries()) {
      if (!first) out += ", ";
      first = false;
      repr(entry.key);
      out += ": ";
      repr(entry.value);
    }
    out += '}';
  }

  Budget& budget_;
};

}  // namespace

std::string to_text(Budget& budget, const Value& value) {
  if (const auto* text = value.as_text()) {
    budget.work(text->size());
    budget.check(text->size());
    return *text;
  }
  if (value.is_undefined()) return "";
  return to_repr(budget, value);
}

std::string to_repr(Budget& budget, const Value& value) {
  Printer printer(budget);
  printer.repr(value);
  return std::move(printer.out);
}

}  // namespace mokume::jinja
