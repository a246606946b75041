// What may stand behind `is`.
#include <algorithm>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

using Check = bool (*)(const Value&);

template <Check kCheck>
bool simple(Interpreter&, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  return kCheck(value);
}

template <Operator kOperator>
bool compared(Interpreter& in, const Value& value, const Arguments& arguments) {
  return compare(in.budget(), kOperator, value, arguments.bind({"other"})[0]);
}

int64_t rest_by(const Value& value, int64_t divisor) {
  int64_t rest = 0;
  const Value remainder = [&] {
    Budget free(1000, 1000);
    return math(free, Operator::kModulo, value, Value::integer(divisor));
  }();
  if (remainder.as_integer(rest)) return rest;
  double real = 0;
  return remainder.as_number(real) && real == 0 ? 0 : real == 1 ? 1 : -1;
}

bool is_odd(const Value& value) { return rest_by(value, 2) == 1; }
bool is_even(const Value& value) { return rest_by(value, 2) == 0; }

bool is_divisible(Interpreter&, const Value& value, const Arguments& arguments) {
  return rest_by(value, integer_argument(arguments.bind({"num"})[0], "the divisor")) == 0;
}

bool is_defined(const Value& value) { return !value.is_undefined(); }
bool is_undefined(const Value& value) { return value.is_undefined(); }
bool is_none(const Value& value) { return value.is_none(); }
bool is_boolean(const Value& value) { return value.get<bool>(); }
bool is_true(const Value& value) { return value.get<bool>() && *value.get<bool>(); }
bool is_false(const Value& value) { return value.get<bool>() && !*value.get<bool>(); }
bool is_integer(const Value& value) { return value.get<int64_t>(); }
bool is_float(const Value& value) { return value.get<double>(); }
bool is_number(const Value& value) {
  double number;
  return value.as_number(number);
}
bool is_string(const Value& value) { return value.as_text(); }
bool is_mapping(const Value& value) { return value.as_dict(); }
bool is_sequence(const Value& value) {
  return value.as_text() || value.as_sequence() || value.as_dict() || value.is_undefined();
}
bool is_callable(const Value& value) { return value.is_callable(); }

template <bool kUpper>
bool has_case(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  const std::string text = to_text(in.budget(), value);
  in.budget().work(text.size() * 8);
  const std::string upper = upper_text(text);
  const std::string lower = lower_text(text);
  return upper != lower && text == (kUpper ? upper : lower);
}

bool is_same(Interpreter& in, const Value& value, const Arguments& arguments) {
  const Value other = arguments.bind({"other"})[0];
  return value.type_name() == other.type_name() && equal(in.budget(), value, other);
}

}  // namespace

Test find_test(std::string_view name) {
  static constexpr std::pair<std::string_view, Test> kTests[] = {
      {"defined", simple<is_defined>},
      {"undefined", simple<is_undefined>},
      {"none", simple<is_none>},
      {"boolean", simple<is_boolean>},
      {"true", simple<is_true>},
      {"false", simple<is_false>},
      {"integer", simple<is_integer>},
      {"float", simple<is_float>},
      {"number", simple<is_number>},
      {"string", simple<is_string>},
      {"mapping", simple<is_mapping>},
      {"sequence", simple<is_sequence>},
      {"iterable", simple<is_sequence>},
      {"callable", simple<is_callable>},
      {"odd", simple<is_odd>},
      {"even", simple<is_even>},
      {"divisibleby", is_divisible},
      {"upper", has_case<true>},
      {"lower", has_case<false>},
      {"sameas", is_same},
      {"in", compared<Operator::kIn>},
      {"eq", compared<Operator::kEqual>},
      {"equalto", compared<Operator::kEqual>},
      {"==", compared<Operator::kEqual>},
      {"ne", compared<Operator::kNotEqual>},
      {"!=", compared<Operator::kNotEqual>},
      {"lt", compared<Operator::kLess>},
      {"lessthan", compared<Operator::kLess>},
      {"<", compared<Operator::kLess>},
      {"le", compared<Operator::kLessEqual>},
      {"<=", compared<Operator::kLessEqual>},
      {"gt", compared<Operator::kGreater>},
      {"greaterthan", compared<Operator::kGreater>},
      {">", compared<Operator::kGreater>},
      {"ge", compared<Operator::kGreaterEqual>},
      {">=", compared<Operator::kGreaterEqual>}};
  for (const auto& [known, test] : kTests) {
    if (known == name) return test;
  }
  return nullptr;
}

}  // namespace mokume::jinja
