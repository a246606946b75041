// Equality, order and membership.
#include <cmath>

#include "tokenizer/jinja/text.h"
#include "tokenizer/jinja/value.h"

namespace mokume::jinja {
namespace {

bool equal_sequences(Budget& budget, const Sequence& a, const Sequence& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  for (size_t i = 0; i < a.items.size(); ++i) {
    if (!equal(budget, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool equal_dicts(Budget& budget, const Dict& a, const Dict& b) {
  if (a.entries().size() != b.entries().size()) return false;
  for (const auto& entry : a.entries()) {
    const Value* other = b.find(entry.key);
    if (!other || !equal(budget, entry.value, *other)) return false;
  }
  return true;
}

}  // namespace

bool equal(Budget& budget, const Value& a, const Value& b) {
  budget.step();
  int64_t i, j;
  if (a.as_integer(i) && b.as_integer(j)) return i == j;
  double x, y;
  if (a.as_number(x) && b.as_number(y)) return x == y;
  if (a.as_text() && b.as_text()) {
    budget.work(std::min(a.as_text()->size(), b.as_text()->size()));
    return *a.as_text() == *b.as_text();
  }
  if (a.as_sequence() && b.as_sequence()) {
    return equal_sequences(budget, *a.as_sequence(), *b.as_sequence());
  }
  if (a.as_dict() && b.as_dict()) return equal_dicts(budget, *a.as_dict(), *b.as_dict());
  if (a.is_none() || a.is_undefined()) {
    return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
  }
  if (a.get<Namespace*>() && b.get<Namespace*>()) {
    return *a.get<Namespace*>() == *b.get<Namespace*>();
  }
  if (a.get<const Macro*>() && b.get<const Macro*>()) {
    return *a.get<const Macro*>() == *b.get<const Macro*>();
  }
  return false;
}

bool less(Budget& budget, const Value& a, const Value& b) {
  budget.step();
  a.defined();
  b.defined();
  int64_t i, j;
  if (a.as_integer(i) && b.as_integer(j)) return i < j;
  double x, y;
  if (a.as_number(x) && b.as_number(y)) return x < y;
  if (a.as_text() && b.as_text()) {
    budget.work(std::min(a.as_text()->size(), b.as_text()->size()));
    return *a.as_text() < *b.as_text();
  }
  const Sequence* s = a.as_sequence();
  const Sequence* t = b.as_sequence();
  if (s && t && s->kind == t->kind && s->kind != SequenceKind::kRange) {
    const size_t common = std::min(s->items.size(), t->items.size());
    for (size_t k = 0; k < common; ++k) {
      if (!equal(budget, s->items[k], t->items[k])) return less(budget, s->items[k], t->items[k]);
    }
    return s->items.size() < t->items.size();
  }
  fail("'<' not supported between instances of '", a.type_name(), "' and '", b.type_name(), "'");
}

bool contains(Budget& budget, const Value& container, const Value& needle) {
  if (const auto* text = container.as_text()) {
    const auto* part = needle.as_text();
    if (!part) {
      needle.defined();
      fail("'in <string>' requires a string as left operand, not ", needle.type_name());
    }
    budget.work(text->size());
    return find_text(*text, *part, 0) != std::string::npos;
  }
  if (const auto* sequence = container.as_sequence()) {
    for (const Value& item : sequence->items) {
      if (equal(budget, item, needle)) return true;
    }
    return false;
  }
  if (const auto* dict = container.as_dict()) return dict->find(needle) != nullptr;
  if (container.is_undefined()) return false;
  fail("argument of type '", container.type_name(), "' is not iterable");
}

}  // namespace mokume::jinja
