// Reads typed fields from a JSON object that a client sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tokenizer/json.h"

namespace mokume {

/// "a string", "an array", ...
std::string_view describe_type(const Json& value);

/// `value` as an integer: 3 and 3.0, but not 3.5, "3", true or 1e30. The message names `param`.
Result<int64_t> to_integer(const Json& value, std::string_view param);

/// `value` as integers; the message names `param` and the index.
Result<std::vector<int64_t>> to_integers(const Json& value, std::string_view param);

/// The fields of one object. Each read() leaves its target alone when the field is absent or null,
/// and remembers the first error; once there is one, nothing is read any more.
class Fields {
 public:
  /// `object` outlives this.
  explicit Fields(const Json& object) : object_(object) {}

  void read(const char* name, std::optional<int64_t>& target);
  void read(const char* name, std::optional<double>& target);
  void read(const char* name, std::string& target);
  void read(const char* name, bool& target);
  /// A seed: any integer of 64 bits, signed or unsigned.
  void read_seed(const char* name, std::optional<uint64_t>& target);

  /// The field, or null when it is absent or null or an error has come before.
  const Json* find(const char* name) const;
  void fail(Status status);
  const Status& status() const { return status_; }

 private:
  const Json& object_;
  Status status_;
};

/// Parses `body`, which must be a JSON object.
Result<Json> parse_body(std::string_view body);

}  // namespace mokume
