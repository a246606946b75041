// The values of a running template, with Python's meaning of truth, equality, order and printing.
//
// Lists, tuples and dicts never change once built (the environment that published templates are
// written for forbids it too), so a value cannot contain itself. Namespaces, macros and scopes
// belong to the interpreter; values only point at them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "tokenizer/jinja/budget.h"

namespace mokume::jinja {

class Value;
struct Macro;      // interpreter.h
struct Namespace;  // below
struct LoopState;  // interpreter.h

struct Text {
  std::string text;
  Charge charge;
};

struct Undefined {
  std::shared_ptr<const std::string> why;  ///< "'x' is undefined"; may be null
};

enum class SequenceKind { kList, kTuple, kRange };

struct Sequence {
  Sequence(SequenceKind of, std::vector<Value> values, int nesting, Charge cost);
  ~Sequence();
  const SequenceKind kind;
  const std::vector<Value> items;
  const int depth;  ///< 1 + the deepest container among the items
  const Charge charge;
};

class Dict;
struct Method;

enum class Builtin { kRange, kDict, kNamespace, kRaiseException, kStrftimeNow };

class Value {
 public:
  using Storage = std::variant<Undefined, std::nullptr_t, bool, int64_t, double,
                               std::shared_ptr<const Text>, std::shared_ptr<const Sequence>,
                               std::shared_ptr<const Dict>, Namespace*, const Macro*, Builtin,
                               std::shared_ptr<const Method>, std::shared_ptr<LoopState>>;

  Value() = default;  ///< undefined
  explicit Value(Storage storage) : storage_(std::move(storage)) {}

  static Value none() { return Value(Storage(nullptr)); }
  static Value boolean(bool b) { return Value(Storage(b)); }
  static Value integer(int64_t i) { return Value(Storage(i)); }
  static Value real(double d) { return Value(Storage(d)); }
  static Value undefined(std::string why);
  static Value text(Budget& budget, std::string text);
  /// A constant of the template itself, charged to nobody.
  static Value constant(std::string text);
  static Value sequence(Budget& budget, std::vector<Value> items,
                        SequenceKind kind = SequenceKind::kList);

  template <typename T>
  const T* get() const {
    return std::get_if<T>(&storage_);
  }
  bool is_undefined() const { return get<Undefined>(); }
  bool is_none() const { return get<std::nullptr_t>(); }
  /// Null when this is no string.
  const std::string* as_text() const;
  const Sequence* as_sequence() const;
  const Dict* as_dict() const;
  /// True for bool and integer; a bool counts as 0 or 1.
  bool as_integer(int64_t& out) const;
  /// True for bool, integer and float.
  bool as_number(double& out) const;
  bool is_callable() const;

  bool truth() const;
  /// Python's name of the type: "int", "str", "list", ...
  std::string_view type_name() const;
  int depth() const;

  /// Fails with the reason when this is undefined.
  const Value& defined() const;

 private:
  Storage storage_;
};

/// A function of a string, list or dict, bound to it.
struct Method {
  Value self;
  std::string name;
};

/// An insertion-ordered mapping. Keys are strings, numbers, booleans, none or tuples of them.
class Dict {
 public:
  struct Entry {
    Value key;
    Value value;
  };

  explicit Dict(Budget& budget) : budget_(&budget), charge_(budget, sizeof(Dict)) {}
  ~Dict();
  /// Replaces the value of an equal key.
  void set(Value key, Value value);
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }
  int depth() const { return depth_; }

 private:
  std::vector<Entry> entries_;
  std::unordered_map<std::string, size_t> index_;  // by hash_key
  int depth_ = 1;
  Budget* budget_;
  Charge charge_;
};

/// The mutable object that namespace() makes.
struct Namespace {
  std::unordered_map<std::string, Value> values;
};

/// A string equal for keys that Python holds equal; fails for a value that cannot be a key.
std::string hash_key(const Value& key);

bool equal(Budget& budget, const Value& a, const Value& b);
/// True when a < b; fails for types without an order between them.
bool less(Budget& budget, const Value& a, const Value& b);
/// `needle in container`.
bool contains(Budget& budget, const Value& container, const Value& needle);

/// Python's str().
std::string to_text(Budget& budget, const Value& value);
/// Python's repr().
std::string to_repr(Budget& budget, const Value& value);

/// The items that a for loop goes over: of a list, the keys of a dict, the code points of a string.
std::vector<Value> iterate(Budget& budget, const Value& value);
/// Number of items; fails for a value without a length.
int64_t length_of(Budget& budget, const Value& value);

}  // namespace mokume::jinja
