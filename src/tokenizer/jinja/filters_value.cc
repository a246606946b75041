// Filters of numbers and of any value.
#include <charconv>
#include <cmath>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/tojson.h"

namespace mokume::jinja {
namespace {

Value fallback(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"default_value", "boolean"});
  if (!value.is_undefined() && (!bound[1].truth() || value.truth())) return value;
  return arguments.positional.empty() && bound[0].is_undefined() ? in.text("") : bound[0];
}

Value tojson(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound[0].truth();
  style.sort_keys = bound[3].truth();
  if (!bound[1].is_undefined() && !bound[1].is_none()) {
    style.indents = true;
    style.item_separator = ",";
    if (const auto* text = bound[1].as_text()) {
      style.indent = *text;
    } else {
      const int64_t width = integer_argument(bound[1], "tojson's indent");
      if (width > 1000) fail("tojson's indent is larger than 1000");
      style.indent.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    }
  }
  if (!bound[2].is_undefined() && !bound[2].is_none()) {
    const auto separators = iterate(in.budget(), bound[2]);
    if (separators.size() != 2) fail("tojson's separators must be two strings");
    style.item_separator = text_argument(separators[0], "tojson's separator");
    style.key_separator = text_argument(separators[1], "tojson's separator");
  }
  return in.text(to_json(in.budget(), value.defined(), style));
}

/// The whole of `text`, white space around it aside, as a number.
bool parse_float(std::string_view text, double& out) {
  text = strip_text(text, StripSide::kBoth);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

bool parse_integer(std::string_view text, int base, int64_t& out) {
  text = strip_text(text, StripSide::kBoth);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  if (base == 16 && (text.starts_with("0x") || text.starts_with("0X"))) text.remove_prefix(2);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

Value as_int(Interpreter&, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"default", "base"});
  const Value otherwise = bound[0].is_undefined() ? Value::integer(0) : bound[0];
  const int64_t base = bound[1].is_undefined() ? 10 : integer_argument(bound[1], "int's base");
  if (base < 2 || base > 36) fail("int's base must be from 2 to 36");
  int64_t integer;
  double real;
  if (value.defined().as_integer(integer)) return Value::integer(integer);
  if (const auto* text = value.as_text()) {
    if (parse_integer(*text, static_cast<int>(base), integer)) return Value::integer(integer);
    if (!parse_float(*text, real)) return otherwise;
  } else if (!value.as_number(real)) {
    return otherwise;
  }
  if (std::isnan(real) || std::isinf(real)) return otherwise;
  if (!(real > -9.2e18 && real < 9.2e18)) fail("an integer does not fit into 64 bits");
  return Value::integer(static_cast<int64_t>(real));
}

Value as_float(Interpreter&, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"default"});
  double number;
  if (value.defined().as_number(number)) return Value::real(number);
  if (value.as_text() && parse_float(*value.as_text(), number)) return Value::real(number);
  return bound[0].is_undefined() ? Value::real(0) : bound[0];
}

Value absolute(Interpreter&, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  double number;
  if (!value.defined().as_number(number)) fail("abs works on a number");
  int64_t integer;
  if (!value.as_integer(integer)) return Value::real(std::fabs(number));
  return integer < 0 ? negative(value) : Value::integer(integer);
}

Value round_number(Interpreter&, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"precision", "method"});
  const int64_t digits =
      bound[0].is_undefined() ? 0 : integer_argument(bound[0], "round's precision");
  if (digits < -300 || digits > 300) fail("round's precision must be from -300 to 300");
  const std::string method =
      bound[1].is_undefined() ? "common" : text_argument(bound[1], "round's method");
  double number;
  if (!value.defined().as_number(number)) fail("round works on a number");
  int64_t integer;
  const double scale = std::pow(10.0, static_cast<double>(digits));
  if (method == "ceil") return Value::real(std::ceil(number * scale) / scale);
  if (method == "floor") return Value::real(std::floor(number * scale) / scale);
  if (method != "common") fail("round's method must be common, ceil or floor");
  if (value.as_integer(integer) && digits >= 0) return Value::integer(integer);
  if (digits < 0) return Value::real(std::nearbyint(number * scale) / scale);
  // Printing rounds the exact value half to even, as Python does.
  char buffer[700];
  snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), number);
  return Value::real(std::strtod(buffer, nullptr));
}

}  // namespace

Filter find_value_filter(std::string_view name) {
  static constexpr std::pair<std::string_view, Filter> kFilters[] = {
      {"default", fallback}, {"d", fallback},   {"tojson", tojson},     {"int", as_int},
      {"float", as_float},   {"abs", absolute}, {"round", round_number}};
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace mokume::jinja
