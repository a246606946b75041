#include "tokenizer/jinja/value.h"

#include <cmath>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/text.h"

namespace mokume::jinja {
namespace {

// Containers within containers; bounds the recursion of everything that walks a value.
constexpr int kMaxContainerDepth = 120;

int checked_depth(int deepest_item) {
  if (deepest_item >= kMaxContainerDepth) {
    fail_limit("lists and mappings are nested deeper than ", kMaxContainerDepth);
  }
  return deepest_item + 1;
}

}  // namespace

Sequence::Sequence(SequenceKind of, std::vector<Value> values, int nesting, Charge cost)
    : kind(of), items(std::move(values)), depth(nesting), charge(std::move(cost)) {}
Sequence::~Sequence() = default;
Dict::~Dict() = default;

Value Value::undefined(std::string why) {
  return Value(Storage(Undefined{std::make_shared<const std::string>(std::move(why))}));
}

Value Value::text(Budget& budget, std::string text) {
  Charge charge(budget, sizeof(Text) + text.capacity());
  return Value(Storage(std::make_shared<const Text>(Text{std::move(text), std::move(charge)})));
}

Value Value::constant(std::string text) {
  return Value(Storage(std::make_shared<const Text>(Text{std::move(text), Charge()})));
}

Value Value::sequence(Budget& budget, std::vector<Value> items, SequenceKind kind) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  Charge charge(budget, sizeof(Sequence) + items.capacity() * sizeof(Value));
  budget.step(static_cast<int64_t>(items.size()));
  return Value(Storage(std::make_shared<const Sequence>(
      kind, std::move(items), checked_depth(deepest), std::move(charge))));
}

const std::string* Value::as_text() const {
  const auto* text = get<std::shared_ptr<const Text>>();
  return text ? &(*text)->text : nullptr;
}

const Sequence* Value::as_sequence() const {
  const auto* sequence = get<std::shared_ptr<const Sequence>>();
  return sequence ? sequence->get() : nullptr;
}

const Dict* Value::as_dict() const {
  const auto* dict = get<std::shared_ptr<const Dict>>();
  return dict ? dict->get() : nullptr;
}

bool Value::as_integer(int64_t& out) const {
  if (const auto* b = get<bool>()) {
    out = *b;
  } else if (const auto* i = get<int64_t>()) {
    out = *i;
  } else {
    return false;
  }
  return true;
}

bool Value::as_number(double& out) const {
  int64_t integer;
  if (as_integer(integer)) {
    out = static_cast<double>(integer);
    return true;
  }
  if (const auto* d = get<double>()) {
    out = *d;
    return true;
  }
  return false;
}

bool Value::is_callable() const {
  return get<const Macro*>() || get<Builtin>() || get<std::shared_ptr<const Method>>();
}

bool Value::truth() const {
  double number;
  if (is_undefined() || is_none()) return false;
  if (as_number(number)) return number != 0;
  if (const auto* text = as_text()) return !text->empty();
  if (const auto* sequence = as_sequence()) return !sequence->items.empty();
  if (const auto* dict = as_dict()) return !dict->entries().empty();
  return true;
}

std::string_view Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (get<bool>()) return "bool";
  if (get<int64_t>()) return "int";
  if (get<double>()) return "float";
  if (as_text()) return "str";
  if (as_dict()) return "dict";
  if (const auto* sequence = as_sequence()) {
    if (sequence->kind == SequenceKind::kTuple) return "tuple";
    return sequence->kind == SequenceKind::kRange ? "range" : "list";
  }
  if (get<Namespace*>()) return "Namespace";
  if (get<const Macro*>()) return "Macro";
  return is_callable() ? "function" : "LoopContext";
}

int Value::depth() const {
  if (const auto* sequence = as_sequence()) return sequence->depth;
  if (const auto* dict = as_dict()) return dict->depth();
  if (const auto* method = get<std::shared_ptr<const Method>>()) {
    return checked_depth((*method)->self.depth());
  }
  if (const auto* loop = get<std::shared_ptr<LoopState>>()) return checked_depth((*loop)->depth);
  return 0;
}

const Value& Value::defined() const {
  if (const auto* undefined = get<Undefined>()) {
    fail(undefined->why ? *undefined->why : std::string("the value is undefined"));
  }
  return *this;
}

void Dict::set(Value key, Value value) {
  std::string hash = hash_key(key);
  const auto found = index_.find(hash);
  depth_ = std::max(depth_, checked_depth(std::max(key.depth(), value.depth())));
  budget_->step();
  if (found != index_.end()) {
    entries_[found->second].value = std::move(value);
    return;
  }
  charge_.grow(sizeof(Entry) + sizeof(std::string) + hash.capacity() + 32);
  index_.emplace(std::move(hash), entries_.size());
  entries_.push_back({std::move(key), std::move(value)});
}

const Value* Dict::find(const Value& key) const {
  const auto found = index_.find(hash_key(key));
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = index_.find(str_cat("s", key));
  return found == index_.end() ? nullptr : &entries_[found->second].value;
}

std::string hash_key(const Value& key) {
  int64_t integer;
  if (const auto* text = key.as_text()) return str_cat("s", *text);
  if (key.as_integer(integer)) return str_cat("i", integer);
  if (key.is_none()) return "n";
  if (const auto* real = key.get<double>()) {
    if (std::fabs(*real) < 9e15 && *real == std::floor(*real)) {
      return str_cat("i", static_cast<int64_t>(*real));
    }
    return str_cat("f", float_text(*real));
  }
  const auto* sequence = key.as_sequence();
  if (!sequence || sequence->kind != SequenceKind::kTuple) {
    fail("a ", key.type_name(), " cannot be a key (unhashable type: '", key.type_name(), "')");
  }
  std::string hash = "t";
  for (const Value& item : sequence->items) {
    const std::string part = hash_key(item);
    hash += str_cat(part.size(), ":", part);
    if (hash.size() > 65536) fail_limit("a tuple used as a key is too long");
  }
  return hash;
}

std::vector<Value> iterate(Budget& budget, const Value& value) {
  std::vector<Value> items;
  if (const auto* sequence = value.as_sequence()) {
    budget.step(static_cast<int64_t>(sequence->items.size()));
    budget.check(sequence->items.size() * sizeof(Value));
    return sequence->items;
  }
  if (const auto* dict = value.as_dict()) {
    budget.step(static_cast<int64_t>(dict->entries().size()));
    for (const auto& entry : dict->entries()) items.push_back(entry.key);
    return items;
  }
  if (const auto* text = value.as_text()) {
    budget.check(text->size() * (sizeof(Value) + sizeof(Text)));
    for (size_t at = 0; at < text->size();) {
      const size_t size = code_point_size(*text, at);
      budget.step();
      items.push_back(Value::text(budget, text->substr(at, size)));
      at += size;
    }
    return items;
  }
  if (value.is_undefined()) return items;
  fail("a value of type '", value.type_name(), "' cannot be iterated over");
}

int64_t length_of(Budget& budget, const Value& value) {
  if (value.is_undefined()) return 0;
  if (const auto* text = value.as_text()) {
    budget.work(text->size());
    return static_cast<int64_t>(text_length(*text));
  }
  if (const auto* sequence = value.as_sequence()) {
    return static_cast<int64_t>(sequence->items.size());
  }
  if (const auto* dict = value.as_dict()) return static_cast<int64_t>(dict->entries().size());
  fail("a value of type '", value.type_name(), "' has no length");
}

}  // namespace mokume::jinja
