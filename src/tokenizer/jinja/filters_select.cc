// map, select, reject, selectattr, rejectattr.
#include "tokenizer/jinja/library.h"

namespace mokume::jinja {
namespace {

/// The arguments behind the first `count`.
Arguments rest_of(const Arguments& arguments, size_t count) {
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + static_cast<ptrdiff_t>(count),
                         arguments.positional.end());
  rest.named = arguments.named;
  return rest;
}

Value map_attribute(Interpreter& in, const Value& value, const Arguments& arguments) {
  Arguments named;
  named.named = arguments.named;
  const auto bound = named.bind({"attribute", "default"});
  std::vector<Value> mapped;
  for (const Value& item : iterate(in.budget(), value)) {
    mapped.push_back(value_at_path(in, item, bound[0], bound[1]));
  }
  return in.list(std::move(mapped));
}

Value map(Interpreter& in, const Value& value, const Arguments& arguments) {
  if (arguments.positional.empty()) {
    if (arguments.named.empty()) fail("map needs a filter or attribute=");
    return map_attribute(in, value, arguments);
  }
  const std::string name = text_argument(arguments.positional[0], "map's filter");
  const Arguments rest = rest_of(arguments, 1);
  std::vector<Value> mapped;
  for (const Value& item : iterate(in.budget(), value)) {
    mapped.push_back(in.apply_filter(name, item, rest));
  }
  return in.list(std::move(mapped));
}

template <bool kByAttribute, bool kKeeps>
Value choose(Interpreter& in, const Value& value, const Arguments& arguments) {
  constexpr size_t kTestAt = kByAttribute ? 1 : 0;
  if (arguments.positional.size() < kTestAt) fail("the name of an attribute is missing");
  const bool has_test = arguments.positional.size() > kTestAt;
  const Arguments rest = has_test ? rest_of(arguments, kTestAt + 1) : Arguments();
  std::vector<Value> kept;
  for (const Value& item : iterate(in.budget(), value)) {
    const Value tested = kByAttribute ? value_at_path(in, item, arguments.positional[0]) : item;
    const bool passes =
        has_test ? in.apply_test(text_argument(arguments.positional[kTestAt], "a test's name"),
                                 tested, rest)
                 : tested.truth();
    if (passes == kKeeps) kept.push_back(item);
  }
  return in.list(std::move(kept));
}

}  // namespace

Filter find_select_filter(std::string_view name) {
  static constexpr std::pair<std::string_view, Filter> kFilters[] = {
      {"map", map},
      {"select", choose<false, true>},
      {"reject", choose<false, false>},
      {"selectattr", choose<true, true>},
      {"rejectattr", choose<true, false>}};
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace mokume::jinja
