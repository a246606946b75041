#include "tokenizer/jinja/from_json.h"

namespace mokume::jinja {
namespace {

constexpr int kMaxJsonDepth = 100;

Value convert(Budget& budget, const nlohmann::ordered_json& json, int depth) {
  budget.step();
  if (depth > kMaxJsonDepth) fail_limit("the JSON is nested deeper than ", kMaxJsonDepth);
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      return Value::boolean(json.get<bool>());
    case nlohmann::json::value_t::number_integer:
      return Value::integer(json.get<int64_t>());
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) return Value::real(json.get<double>());
      return Value::integer(json.get<int64_t>());
    case nlohmann::json::value_t::number_float:
      return Value::real(json.get<double>());
    case nlohmann::json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      budget.check(text.size());
      return Value::text(budget, text);
    }
    case nlohmann::json::value_t::array: {
      budget.check(json.size() * sizeof(Value));
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(convert(budget, item, depth + 1));
      return Value::sequence(budget, std::move(items));
    }
    case nlohmann::json::value_t::object: {
      auto dict = std::make_shared<Dict>(budget);
      for (const auto& [key, item] : json.items()) {
        dict->set(Value::text(budget, key), convert(budget, item, depth + 1));
      }
      return Value(Value::Storage(std::shared_ptr<const Dict>(std::move(dict))));
    }
    default:
      return Value::none();
  }
}

}  // namespace

Value from_json(Budget& budget, const nlohmann::ordered_json& json) {
  return convert(budget, json, 0);
}

}  // namespace mokume::jinja
