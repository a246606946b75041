#include "tokenizer/jinja/operators.h"

#include <cmath>

#include "tokenizer/jinja/format.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

std::string_view symbol_of(Operator op) {
  static constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSymbols[static_cast<int>(op)];
}

[[noreturn]] void unsupported(Operator op, const Value& a, const Value& b) {
  a.defined();
  b.defined();
  fail("unsupported operand types for ", symbol_of(op), ": '", a.type_name(), "' and '",
       b.type_name(), "'");
}

/// `result` is read after the arithmetic that filled it, whatever the order of the arguments.
int64_t checked(bool overflow, const int64_t& result) {
  if (overflow) fail("an integer does not fit into 64 bits");
  return result;
}

int64_t floor_divide(int64_t a, int64_t b) {
  if (b == 0) fail("division by zero");
  if (b == -1) return checked(a == INT64_MIN, a == INT64_MIN ? 0 : -a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t floor_modulo(int64_t a, int64_t b) {
  if (b == 0) fail("division by zero");
  if (b == -1) return 0;
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  if (base == -1) return exponent % 2 == 0 ? 1 : -1;
  for (; exponent > 0; --exponent) {
    checked(__builtin_mul_overflow(result, base, &result), 0);
  }
  return result;
}

Value integer_math(Operator op, int64_t a, int64_t b) {
  int64_t out = 0;
  switch (op) {
    case Operator::kAdd:
      return Value::integer(checked(__builtin_add_overflow(a, b, &out), out));
    case Operator::kSubtract:
      return Value::integer(checked(__builtin_sub_overflow(a, b, &out), out));
    case Operator::kMultiply:
      return Value::integer(checked(__builtin_mul_overflow(a, b, &out), out));
    case Operator::kDivide:
      if (b == 0) fail("division by zero");
      return Value::real(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDivide:
      return Value::integer(floor_divide(a, b));
    case Operator::kModulo:
      return Value::integer(floor_modulo(a, b));
    default:
      if (b >= 0) return Value::integer(power(a, b));
      if (a == 0) fail("zero cannot be raised to a negative power");
      return Value::real(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
}

Value float_math(Operator op, double a, double b) {
  const bool divides =
      op == Operator::kDivide || op == Operator::kFloorDivide || op == Operator::kModulo;
  if (divides && b == 0) fail("division by zero");
  switch (op) {
    case Operator::kAdd:
      return Value::real(a + b);
    case Operator::kSubtract:
      return Value::real(a - b);
    case Operator::kMultiply:
      return Value::real(a * b);
    case Operator::kDivide:
      return Value::real(a / b);
    case Operator::kFloorDivide:
      return Value::real(std::floor(a / b));
    case Operator::kModulo: {
      const double rest = std::fmod(a, b);
      return Value::real(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
    }
    default:
      return Value::real(std::pow(a, b));
  }
}

Value join_sequences(Budget& budget, const Sequence& a, const Sequence& b) {
  budget.check((a.items.size() + b.items.size()) * sizeof(Value));
  std::vector<Value> items;
  items.reserve(a.items.size() + b.items.size());
  items.insert(items.end(), a.items.begin(), a.items.end());
  items.insert(items.end(), b.items.begin(), b.items.end());
  return Value::sequence(budget, std::move(items), a.kind);
}

Value repeat(Budget& budget, const Value& value, int64_t times) {
  const auto* text = value.as_text();
  const size_t size = text ? text->size() : value.as_sequence()->items.size() * sizeof(Value);
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  size_t bytes = 0;
  if (__builtin_mul_overflow(size, count, &bytes)) bytes = SIZE_MAX;
  budget.check(bytes);
  if (bytes == 0) {
    return text ? Value::text(budget, "") : Value::sequence(budget, {}, value.as_sequence()->kind);
  }
  if (text) {
    budget.work(bytes);
    std::string out;
    out.reserve(bytes);
    for (size_t i = 0; i < count; ++i) out += *text;
    return Value::text(budget, std::move(out));
  }
  const Sequence& sequence = *value.as_sequence();
  std::vector<Value> items;
  items.reserve(sequence.items.size() * count);
  for (size_t i = 0; i < count; ++i) {
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return Value::sequence(budget, std::move(items), sequence.kind);
}

bool is_list_like(const Value& value) {
  return value.as_sequence() && value.as_sequence()->kind != SequenceKind::kRange;
}

Value add(Budget& budget, const Value& a, const Value& b) {
  if (a.as_text() && b.as_text()) {
    budget.check(a.as_text()->size() + b.as_text()->size());
    budget.work(a.as_text()->size() + b.as_text()->size());
    return Value::text(budget, *a.as_text() + *b.as_text());
  }
  if (is_list_like(a) && is_list_like(b) && a.as_sequence()->kind == b.as_sequence()->kind) {
    return join_sequences(budget, *a.as_sequence(), *b.as_sequence());
  }
  if (a.as_text() || b.as_text()) {
    a.defined();
    b.defined();
    fail("a ", a.type_name(), " and a ", b.type_name(), " cannot be joined with '+'; '~' can");
  }
  unsupported(Operator::kAdd, a, b);
}

}  // namespace

Value math(Budget& budget, Operator op, const Value& a, const Value& b) {
  int64_t i, j;
  if (a.as_integer(i) && b.as_integer(j)) return integer_math(op, i, j);
  double x, y;
  if (a.as_number(x) && b.as_number(y)) return float_math(op, x, y);
  if (op == Operator::kAdd) return add(budget, a, b);
  if (op == Operator::kMultiply) {
    if ((a.as_text() || is_list_like(a)) && b.as_integer(j)) return repeat(budget, a, j);
    if ((b.as_text() || is_list_like(b)) && a.as_integer(i)) return repeat(budget, b, i);
  }
  if (op == Operator::kModulo && a.as_text()) {
    return Value::text(budget, printf_format(budget, *a.as_text(), b));
  }
  unsupported(op, a, b);
}

Value negative(const Value& value) {
  int64_t integer;
  if (value.as_integer(integer)) return integer_math(Operator::kSubtract, 0, integer);
  if (const auto* real = value.get<double>()) return Value::real(-*real);
  value.defined();
  fail("bad operand type for unary -: '", value.type_name(), "'");
}

bool compare(Budget& budget, Operator op, const Value& a, const Value& b) {
  switch (op) {
    case Operator::kEqual:
      return equal(budget, a, b);
    case Operator::kNotEqual:
      return !equal(budget, a, b);
    case Operator::kLess:
      return less(budget, a, b);
    case Operator::kGreater:
      return less(budget, b, a);
    case Operator::kLessEqual:
      return less(budget, a, b) || equal(budget, a, b);
    case Operator::kGreaterEqual:
      return less(budget, b, a) || equal(budget, a, b);
    case Operator::kIn:
      return contains(budget, b, a);
    default:
      return !contains(budget, b, a);
  }
}

namespace {

struct SliceRange {
  int64_t begin;
  int64_t step;
  int64_t count;
};

/// A part of a slice, or `fallback` when it is left out.
int64_t slice_part(const Value& part, int64_t fallback) {
  int64_t value;
  if (part.is_none() || part.is_undefined()) return fallback;
  if (!part.as_integer(value)) fail("slice indices must be integers, not ", part.type_name());
  return value;
}

/// Python's rules of negative and too large indices, for a sequence of `length` items.
SliceRange resolve_slice(int64_t length, const Value& begin, const Value& end, const Value& step) {
  SliceRange range{0, std::max<int64_t>(slice_part(step, 1), -INT64_MAX), 0};
  if (range.step == 0) fail("slice step cannot be zero");
  const bool forward = range.step > 0;
  const int64_t lowest = forward ? 0 : -1;
  const int64_t highest = forward ? length : length - 1;
  const auto clamp = [&](const Value& part, int64_t fallback) {
    if (part.is_none() || part.is_undefined()) return fallback;
    int64_t at = slice_part(part, 0);
    if (at < 0) at += length;
    return std::min(std::max(at, lowest), highest);
  };
  range.begin = clamp(begin, forward ? lowest : highest);
  const int64_t stop = clamp(end, forward ? highest : lowest);
  const int64_t distance = forward ? stop - range.begin : range.begin - stop;
  const int64_t stride = forward ? range.step : -range.step;
  if (distance > 0) range.count = (distance - 1) / stride + 1;
  return range;
}

/// The byte offset of every code point.
std::vector<uint32_t> code_point_offsets(Budget& budget, const std::string& text) {
  budget.step(static_cast<int64_t>(text.size() / 4));
  budget.check(text.size() * sizeof(uint32_t));
  std::vector<uint32_t> offsets;
  for (size_t at = 0; at < text.size(); at += code_point_size(text, at)) {
    offsets.push_back(static_cast<uint32_t>(at));
  }
  return offsets;
}

}  // namespace

Value slice(Budget& budget, const Value& value, const Value& begin, const Value& end,
            const Value& step) {
  if (const auto* text = value.as_text()) {
    const auto offsets = code_point_offsets(budget, *text);
    const auto range = resolve_slice(static_cast<int64_t>(offsets.size()), begin, end, step);
    std::string out;
    for (int64_t i = 0; i < range.count; ++i) {
      const size_t at = offsets[static_cast<size_t>(range.begin + i * range.step)];
      out.append(*text, at, code_point_size(*text, at));
    }
    return Value::text(budget, std::move(out));
  }
  const auto* sequence = value.as_sequence();
  if (!sequence) {
    value.defined();
    fail("a value of type '", value.type_name(), "' cannot be sliced");
  }
  const auto range = resolve_slice(static_cast<int64_t>(sequence->items.size()), begin, end, step);
  std::vector<Value> items;
  budget.check(static_cast<size_t>(range.count) * sizeof(Value));
  for (int64_t i = 0; i < range.count; ++i) {
    items.push_back(sequence->items[static_cast<size_t>(range.begin + i * range.step)]);
  }
  return Value::sequence(budget, std::move(items), sequence->kind);
}

}  // namespace mokume::jinja
