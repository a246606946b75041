#include "tokenizer/jinja/format.h"

#include <charconv>
#include <cstdio>

#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

class PrintfFormatter {
 public:
  PrintfFormatter(Budget& budget, std::string_view format, const Value& values)
      : budget_(budget), format_(format), values_(values) {}

  std::string run() {
    std::string out;
    while (at_ < format_.size()) {
      budget_.check(out.size());
      const char c = format_[at_++];
      if (c == '%') {
        out += conversion();
      } else {
        out += c;
      }
    }
    const auto* tuple = as_tuple();
    if (tuple ? used_ < tuple->items.size() : used_ == 0 && !values_.as_dict()) {
      fail("not all arguments converted during string formatting");
    }
    return out;
  }

 private:
  const Sequence* as_tuple() const {
    const auto* sequence = values_.as_sequence();
    return sequence && sequence->kind == SequenceKind::kTuple ? sequence : nullptr;
  }

  Value next_value(std::string_view key) {
    if (!key.empty()) {
      const auto* dict = values_.as_dict();
      const Value* found = dict ? dict->find(key) : nullptr;
      if (!found) fail("'%(", key, ")' has no value");
      return *found;
    }
    const auto* tuple = as_tuple();
    if (used_ >= (tuple ? tuple->items.size() : 1)) fail("not enough arguments for format string");
    return tuple ? tuple->items[used_++] : (++used_, values_);
  }

  std::string_view take_while(std::string_view chars) {
    const size_t begin = at_;
    while (at_ < format_.size() && chars.find(format_[at_]) != std::string_view::npos) ++at_;
    return format_.substr(begin, at_ - begin);
  }

  int take_number() {
    const std::string_view digits = take_while("0123456789");
    int number = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.size() > 4 || number > 1000) fail("a width in a format is larger than 1000");
    return number;
  }

  std::string_view take_key() {
    if (at_ >= format_.size() || format_[at_] != '(') return {};
    const size_t close = format_.find(')', at_);
    if (close == std::string_view::npos) fail("incomplete format key");
    const std::string_view key = format_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    return key;
  }

  std::string conversion() {
    const std::string_view key = take_key();
    const std::string_view flags = take_while("-+ 0#");
    const int width = take_number();
    int precision = -1;
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      precision = take_number();
    }
    if (at_ >= format_.size()) fail("incomplete format");
    const char type = format_[at_++];
    if (type == '%') return "%";
    return pad(convert(type, flags, precision, next_value(key)), flags, width, type);
  }

  std::string convert(char type, std::string_view flags, int precision, const Value& value) {
    if (type == 's' || type == 'r') {
      std::string text = type == 's' ? to_text(budget_, value) : to_repr(budget_, value);
      if (precision >= 0) text.resize(byte_offset(text, static_cast<size_t>(precision)));
      return text;
    }
    double number;
    if (!value.as_number(number)) fail("%", std::string_view(&type, 1), " needs a number");
    const bool plus = flags.find('+') != std::string_view::npos;
    char buffer[1536];
    if (type == 'f') {
      snprintf(buffer, sizeof buffer, plus ? "%+.*f" : "%.*f", precision < 0 ? 6 : precision,
               number);
      return buffer;
    }
    int64_t integer;
    if (!value.as_integer(integer)) {
      if (!(number > -9e18 && number < 9e18)) fail("a number is too large for its format");
      integer = static_cast<int64_t>(number);
    }
    if (type == 'd' || type == 'i') {
      snprintf(buffer, sizeof buffer, plus ? "%+lld" : "%lld", static_cast<long long>(integer));
      return buffer;
    }
    if (type != 'x' && type != 'X') {
      fail("format character '", std::string_view(&type, 1), "' is not supported");
    }
    const auto magnitude = integer < 0 ? 0 - static_cast<unsigned long long>(integer)
                                       : static_cast<unsigned long long>(integer);
    snprintf(buffer, sizeof buffer, type == 'x' ? "%s%llx" : "%s%llX", integer < 0 ? "-" : "",
             magnitude);
    return buffer;
  }

  static std::string pad(std::string text, std::string_view flags, int width, char type) {
    const size_t length = text_length(text);
    if (length >= static_cast<size_t>(width)) return text;
    const size_t missing = static_cast<size_t>(width) - length;
    if (flags.find('-') != std::string_view::npos) return text + std::string(missing, ' ');
    const bool zeros = flags.find('0') != std::string_view::npos && type != 's' && type != 'r';
    if (!zeros) return std::string(missing, ' ') + text;
    const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    return text.insert(sign, missing, '0');
  }

  Budget& budget_;
  const std::string_view format_;
  const Value& values_;
  size_t at_ = 0;
  size_t used_ = 0;
};

Value brace_value(std::string_view field, size_t& next, const Arguments& arguments) {
  size_t index = next;
  const auto parsed = std::from_chars(field.data(), field.data() + field.size(), index);
  if (field.empty() || parsed.ptr == field.data() + field.size()) {
    if (field.empty()) ++next;
    if (index >= arguments.positional.size()) fail("not enough arguments for format()");
    return arguments.positional[index];
  }
  for (const auto& [name, value] : arguments.named) {
    if (name == field) return value;
  }
  fail("'{", field, "}' is no argument of format(), or uses what is not supported here");
}

}  // namespace

std::string printf_format(Budget& budget, std::string_view format, const Value& values) {
  budget.work(format.size());
  return PrintfFormatter(budget, format, values).run();
}

std::string brace_format(Budget& budget, std::string_view format, const Arguments& arguments) {
  budget.work(format.size());
  std::string out;
  size_t next = 0;
  for (size_t at = 0; at < format.size(); ++at) {
    const char c = format[at];
    budget.check(out.size());
    if (c != '{' && c != '}') {
      out += c;
    } else if (at + 1 < format.size() && format[at + 1] == c) {
      out += c;
      ++at;
    } else {
      const size_t close = format.find('}', at);
      if (c == '}' || close == std::string_view::npos) fail("a brace in format() has no partner");
      out += to_text(budget, brace_value(format.substr(at + 1, close - at - 1), next, arguments));
      at = close;
    }
  }
  return out;
}

}  // namespace mokume::jinja
