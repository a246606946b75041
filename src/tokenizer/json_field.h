// A value inside a JSON file, which knows its place for error messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "tokenizer/json.h"

namespace mokume {

/// A view; the Json it was made of must outlive it. Errors read
/// "[tokenizer] model.vocab must be an object (dir/tokenizer.json)".
class JsonField {
 public:
  JsonField(const Json& value, std::string_view file) : JsonField(&value, "", file) {}

  /// The member `name`. Absent where this is no object or has none.
  JsonField operator[](std::string_view name) const;
  /// Element `index` of an array.
  JsonField operator[](size_t index) const;

  /// Neither absent nor null.
  bool has_value() const { return value_ != nullptr && !value_->is_null(); }
  /// Null where absent.
  const Json* json() const { return value_; }

  Result<std::string> string() const;
  Result<bool> boolean(bool when_absent) const;
  Result<int64_t> integer(int64_t min, int64_t max) const;
  Result<const Json*> object() const;
  Result<const Json*> array() const;
  /// The string "type" of an object.
  Result<std::string> type() const { return (*this)["type"].string(); }

  /// "[tokenizer] <path> <what> (<file>)", InvalidArgument and Unimplemented.
  template <typename... Args>
  Status error(const Args&... what) const {
    return invalid_argument("tokenizer", place(), " ", what..., where());
  }
  template <typename... Args>
  Status unsupported(const Args&... what) const {
    return absl::UnimplementedError(str_cat("[tokenizer] ", place(), " ", what..., where()));
  }

 private:
  JsonField(const Json* value, std::string path, std::string_view file)
      : value_(value), path_(std::move(path)), file_(file) {}
  std::string place() const { return path_.empty() ? "the file" : path_; }
  std::string where() const { return str_cat(" (", file_, ")"); }
  Status wrong_type(std::string_view right) const;

  const Json* value_;
  std::string path_;
  std::string_view file_;
};

}  // namespace mokume
