// Filters of lists and mappings.
#include <algorithm>
#include <unordered_set>

#include "tokenizer/jinja/library.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

/// What values are ordered by: the value itself, or what is at `attribute`; strings in lower case
/// unless `case_sensitive`.
Value sort_key(Interpreter& in, const Value& item, const Value& attribute, bool case_sensitive) {
  const bool whole = attribute.is_undefined() || attribute.is_none();
  Value key = whole ? item : value_at_path(in, item, attribute);
  const auto* text = key.as_text();
  if (!text || case_sensitive) return key;
  in.budget().work(text->size() * 4);
  return in.text(lower_text(*text));
}

std::vector<Value> sorted(Interpreter& in, const std::vector<Value>& items,
                          const std::vector<Value>& keys, bool reverse) {
  std::vector<size_t> order(items.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return reverse ? less(in.budget(), keys[b], keys[a]) : less(in.budget(), keys[a], keys[b]);
  });
  std::vector<Value> result;
  for (const size_t i : order) result.push_back(items[i]);
  return result;
}

Value sort(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"reverse", "case_sensitive", "attribute"});
  const auto items = iterate(in.budget(), value);
  std::vector<Value> keys;
  for (const Value& item : items) {
    keys.push_back(sort_key(in, item, bound[2], bound[1].truth()));
  }
  return in.list(sorted(in, items, keys, bound[0].truth()));
}

Value dictsort(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"case_sensitive", "by", "reverse"});
  if (!value.defined().as_dict())
    fail("dictsort works on a mapping, not '", value.type_name(), "'");
  const std::string by = bound[1].is_undefined() ? "key" : text_argument(bound[1], "dictsort's by");
  if (by != "key" && by != "value") fail("dictsort's by must be 'key' or 'value'");
  std::vector<Value> items;
  std::vector<Value> keys;
  for (const auto& [key, content] : value.as_dict()->entries()) {
    items.push_back(Value::sequence(in.budget(), {key, content}, SequenceKind::kTuple));
    keys.push_back(sort_key(in, by == "key" ? key : content, Value(), bound[0].truth()));
  }
  return in.list(sorted(in, items, keys, bound[2].truth()));
}

Value unique(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"case_sensitive", "attribute"});
  std::unordered_set<std::string> seen;
  std::vector<Value> kept;
  for (const Value& item : iterate(in.budget(), value)) {
    if (seen.insert(hash_key(sort_key(in, item, bound[1], bound[0].truth()))).second) {
      kept.push_back(item);
    }
  }
  return in.list(std::move(kept));
}

template <bool kLargest>
Value extreme(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"case_sensitive", "attribute"});
  Value best;
  Value best_key;
  bool found = false;
  for (const Value& item : iterate(in.budget(), value)) {
    const Value key = sort_key(in, item, bound[1], bound[0].truth());
    const bool better =
        !found || (kLargest ? less(in.budget(), best_key, key) : less(in.budget(), key, best_key));
    if (!better) continue;
    best = item;
    best_key = key;
    found = true;
  }
  return best;
}

Value sum(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"attribute", "start"});
  Value total = bound[1].is_undefined() ? Value::integer(0) : bound[1];
  const bool whole = bound[0].is_undefined() || bound[0].is_none();
  for (const Value& item : iterate(in.budget(), value)) {
    total =
        math(in.budget(), Operator::kAdd, total, whole ? item : value_at_path(in, item, bound[0]));
  }
  return total;
}

Value join(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"d", "attribute"});
  std::vector<Value> items = iterate(in.budget(), value);
  if (!bound[1].is_undefined() && !bound[1].is_none()) {
    for (Value& item : items) item = value_at_path(in, item, bound[1]);
  }
  return in.text(join_texts(in, items, to_text(in.budget(), bound[0])));
}

Value first(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  const auto items = iterate(in.budget(), value);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}

Value last(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  const auto items = iterate(in.budget(), value);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Value reverse(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  if (value.as_text()) {
    return slice(in.budget(), value, Value::none(), Value::none(), Value::integer(-1));
  }
  auto items = iterate(in.budget(), value.defined());
  std::reverse(items.begin(), items.end());
  return in.list(std::move(items));
}

Value as_list(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  return in.list(iterate(in.budget(), value));
}

Value items(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  if (value.is_undefined()) return in.list({});
  if (!value.as_dict()) fail("Can only get item pairs from a mapping.");
  return call_method(in, Method{value, "items"}, {});
}

Value batch(Interpreter& in, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind({"linecount", "fill_with"});
  const int64_t size = integer_argument(bound[0], "batch's size");
  if (size < 1 || size > 100'000) fail("batch's size must be from 1 to 100000");
  std::vector<Value> batches;
  std::vector<Value> current;
  const auto flush = [&] { batches.push_back(in.list(std::exchange(current, {}))); };
  for (const Value& item : iterate(in.budget(), value)) {
    current.push_back(item);
    if (static_cast<int64_t>(current.size()) == size) flush();
  }
  if (current.empty()) return in.list(std::move(batches));
  const bool fills = !bound[1].is_undefined() && !bound[1].is_none();
  if (fills) current.resize(static_cast<size_t>(size), bound[1]);
  flush();
  return in.list(std::move(batches));
}

Value length(Interpreter& in, const Value& value, const Arguments& arguments) {
  arguments.bind({});
  return Value::integer(length_of(in.budget(), value));
}

}  // namespace

Filter find_list_filter(std::string_view name) {
  static constexpr std::pair<std::string_view, Filter> kFilters[] = {
      {"length", length},      {"count", length},      {"join", join},     {"first", first},
      {"last", last},          {"list", as_list},      {"items", items},   {"dictsort", dictsort},
      {"sort", sort},          {"reverse", reverse},   {"unique", unique}, {"sum", sum},
      {"min", extreme<false>}, {"max", extreme<true>}, {"batch", batch}};
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace mokume::jinja
