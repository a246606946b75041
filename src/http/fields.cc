#include "http/fields.h"

#include <cmath>
#include <limits>
#include <utility>

#include "api/errors.h"

namespace mokume {
namespace {

Status wrong_type(std::string_view param, std::string_view wanted, const Json& value) {
  return field_error(param, param, " must be ", wanted, ", it is ", describe_type(value));
}

/// The doubles that are integers of 64 bits.
bool is_int64(double value) {
  return value >= -0x1p63 && value < 0x1p63 && std::trunc(value) == value;
}

}  // namespace

std::string_view describe_type(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_boolean()) return "a boolean";
  if (value.is_string()) return "a string";
  if (value.is_array()) return "an array";
  if (value.is_object()) return "an object";
  return "a number";
}

Result<int64_t> to_integer(const Json& value, std::string_view param) {
  if (!value.is_number()) return wrong_type(param, "an integer", value);
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return static_cast<int64_t>(number);
  } else if (value.is_number_integer()) {
    return value.get<int64_t>();
  } else if (const double number = value.get<double>(); is_int64(number)) {
    return static_cast<int64_t>(number);
  }
  return field_error(param, param, " is ", dump_json(value), ", it must be an integer of 64 bits");
}

Result<std::vector<int64_t>> to_integers(const Json& value, std::string_view param) {
  if (!value.is_array()) return wrong_type(param, "an array of integers", value);
  std::vector<int64_t> numbers;
  numbers.reserve(value.size());
  for (size_t i = 0; i < value.size(); ++i) {
    const Json& item = value[i];
    if (!item.is_number()) return wrong_type(str_cat(param, "[", i, "]"), "an integer", item);
    MKM_ASSIGN_OR_RETURN(numbers.emplace_back(), to_integer(item, param));
  }
  return numbers;
}

const Json* Fields::find(const char* name) const {
  if (!status_.ok()) return nullptr;
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void Fields::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

void Fields::read(const char* name, std::optional<int64_t>& target) {
  const Json* value = find(name);
  if (!value) return;
  Result<int64_t> number = to_integer(*value, name);
  if (number.ok()) {
    target = *number;
  } else {
    fail(std::move(number).status());
  }
}

void Fields::read(const char* name, std::optional<double>& target) {
  const Json* value = find(name);
  if (!value) return;
  if (!value->is_number()) return fail(wrong_type(name, "a number", *value));
  target = value->get<double>();
}

void Fields::read(const char* name, std::string& target) {
  const Json* value = find(name);
  if (!value) return;
  if (!value->is_string()) return fail(wrong_type(name, "a string", *value));
  target = value->get<std::string>();
}

void Fields::read(const char* name, bool& target) {
  const Json* value = find(name);
  if (!value) return;
  if (!value->is_boolean()) return fail(wrong_type(name, "true or false", *value));
  target = value->get<bool>();
}

void Fields::read_seed(const char* name, std::optional<uint64_t>& target) {
  const Json* value = find(name);
  if (value && value->is_number_unsigned()) {
    target = value->get<uint64_t>();
    return;
  }
  std::optional<int64_t> number;
  read(name, number);
  if (number) target = static_cast<uint64_t>(*number);
}

Result<Json> parse_body(std::string_view body) {
  MKM_ASSIGN_OR_RETURN(Json json, parse_json(body, "the request body"));
  if (!json.is_object()) {
    return invalid_argument("http", "the request body must be a JSON object, it is ",
                            describe_type(json));
  }
  return json;
}

}  // namespace mokume
