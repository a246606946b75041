#include "tokenizer/json_field.h"

#include <limits>

namespace mokume {

JsonField JsonField::operator[](std::string_view name) const {
  const Json* found = nullptr;
  if (value_ != nullptr && value_->is_object()) {
    const auto member = value_->find(name);
    if (member != value_->end()) found = &*member;
  }
  return {found, path_.empty() ? std::string(name) : str_cat(path_, ".", name), file_};
}

JsonField JsonField::operator[](size_t index) const {
  const bool inside = value_ != nullptr && value_->is_array() && index < value_->size();
  return {inside ? &(*value_)[index] : nullptr, str_cat(path_, "[", index, "]"), file_};
}

Status JsonField::wrong_type(std::string_view right) const {
  if (value_ == nullptr) return error("is absent; must be ", right);
  return error("must be ", right, ", not ", value_->type_name());
}

Result<std::string> JsonField::string() const {
  if (value_ == nullptr || !value_->is_string()) return wrong_type("a string");
  return value_->get<std::string>();
}

Result<bool> JsonField::boolean(bool when_absent) const {
  if (!has_value()) return when_absent;
  if (!value_->is_boolean()) return wrong_type("true or false");
  return value_->get<bool>();
}

Result<int64_t> JsonField::integer(int64_t min, int64_t max) const {
  if (value_ == nullptr || !value_->is_number_integer()) return wrong_type("an integer");
  const bool fits =
      !value_->is_number_unsigned() ||
      value_->get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const int64_t number = fits ? value_->get<int64_t>() : std::numeric_limits<int64_t>::max();
  if (fits && number >= min && number <= max) return number;
  return error("is ", value_->dump(), "; must be ", min, " to ", max);
}

Result<const Json*> JsonField::object() const {
  if (value_ == nullptr || !value_->is_object()) return wrong_type("an object");
  return value_;
}

Result<const Json*> JsonField::array() const {
  if (value_ == nullptr || !value_->is_array()) return wrong_type("an array");
  return value_;
}

}  // namespace mokume
