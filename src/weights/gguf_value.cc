// Metadata values: a type number, then the value; an array is a type number, a count and the
// elements.
#include <algorithm>

#include "weights/gguf_header.h"

namespace mokume {
namespace {

// Chat templates and licence texts are the longest strings that files hold.
constexpr uint64_t kMaxStringBytes = 64u << 20;

enum class ValueType : uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

Result<bool> parse_bool(ByteReader& reader, std::string_view key) {
  const uint64_t start = reader.position();
  MKM_ASSIGN_OR_RETURN(const uint8_t value, reader.number<uint8_t>(key));
  if (value > 1) {
    return invalid_argument("weights", key, " is a bool of value ", int{value}, "; must be 0 or 1 ",
                            reader.where(start));
  }
  return value == 1;
}

template <typename Stored, typename Kept>
struct Number {
  using Type = Kept;
  static constexpr uint64_t kMinBytes = sizeof(Stored);
  static Result<Kept> parse(ByteReader& reader, std::string_view key) {
    MKM_ASSIGN_OR_RETURN(const Stored value, reader.number<Stored>(key));
    return static_cast<Kept>(value);
  }
};

struct Bool {
  using Type = bool;
  static constexpr uint64_t kMinBytes = 1;
  static Result<bool> parse(ByteReader& reader, std::string_view key) {
    return parse_bool(reader, key);
  }
};

struct String {
  using Type = std::string;
  static constexpr uint64_t kMinBytes = sizeof(uint64_t);
  static Result<std::string> parse(ByteReader& reader, std::string_view key) {
    return reader.string(kMaxStringBytes, key);
  }
};

template <typename Element>
Result<MetadataValue> parse_as(ByteReader& reader, std::string_view key, bool array) {
  if (!array) {
    MKM_ASSIGN_OR_RETURN(auto value, Element::parse(reader, key));
    return MetadataValue(std::move(value));
  }
  MKM_ASSIGN_OR_RETURN(const uint64_t count,
                       reader.count(Element::kMinBytes, str_cat("length of ", key)));
  std::vector<typename Element::Type> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    MKM_ASSIGN_OR_RETURN(auto value, Element::parse(reader, key));
    values.push_back(std::move(value));
  }
  return MetadataValue(std::move(values));
}

Result<MetadataValue> parse_typed(ByteReader& reader, std::string_view key, bool array) {
  const uint64_t start = reader.position();
  MKM_ASSIGN_OR_RETURN(const uint32_t type, reader.number<uint32_t>(key));
  switch (static_cast<ValueType>(type)) {
    case ValueType::kU8:
      return parse_as<Number<uint8_t, uint64_t>>(reader, key, array);
    case ValueType::kI8:
      return parse_as<Number<int8_t, int64_t>>(reader, key, array);
    case ValueType::kU16:
      return parse_as<Number<uint16_t, uint64_t>>(reader, key, array);
    case ValueType::kI16:
      return parse_as<Number<int16_t, int64_t>>(reader, key, array);
    case ValueType::kU32:
      return parse_as<Number<uint32_t, uint64_t>>(reader, key, array);
    case ValueType::kI32:
      return parse_as<Number<int32_t, int64_t>>(reader, key, array);
    case ValueType::kU64:
      return parse_as<Number<uint64_t, uint64_t>>(reader, key, array);
    case ValueType::kI64:
      return parse_as<Number<int64_t, int64_t>>(reader, key, array);
    case ValueType::kF32:
      return parse_as<Number<float, double>>(reader, key, array);
    case ValueType::kF64:
      return parse_as<Number<double, double>>(reader, key, array);
    case ValueType::kBool:
      return parse_as<Bool>(reader, key, array);
    case ValueType::kString:
      return parse_as<String>(reader, key, array);
    case ValueType::kArray:
      if (!array) return parse_typed(reader, key, true);
      return invalid_argument("weights", key, " is an array of arrays, which is not supported ",
                              reader.where(start));
  }
  return invalid_argument("weights", key, " is of value type ", type, "; the format has 0 to 12 ",
                          reader.where(start));
}

}  // namespace

Result<MetadataValue> parse_gguf_value(ByteReader& reader, std::string_view key) {
  return parse_typed(reader, key, false);
}

}  // namespace mokume
