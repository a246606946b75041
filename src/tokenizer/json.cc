#include "tokenizer/json.h"

#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace mokume {
namespace {

/// Builds a Json value from nlohmann's SAX events, and gives up at the first breach of a limit.
class Builder {
 public:
  Builder(std::string_view what, const JsonLimits& limits) : what_(what), limits_(limits) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(int64_t value) { return add(value); }
  bool number_unsigned(uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return fail("binary data is not JSON"); }
  bool start_object(size_t) { return open(Json::object()); }
  bool start_array(size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Frame& frame = open_.back();
    if (frame.keys.size() >= limits_.max_keys) {
      return fail(str_cat("an object has more than ", limits_.max_keys, " keys"));
    }
    if (!frame.keys.insert(name).second) {
      return fail(str_cat("the key \"", name.substr(0, 80), "\" occurs twice in one object"));
    }
    frame.key = std::move(name);
    return true;
  }

  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) {
    std::string_view message = error.what();
    if (const size_t end = message.find("] "); end != std::string_view::npos)
      message.remove_prefix(end + 2);
    // What follows quotes the input, at any length.
    return fail(message.substr(0, std::min(message.find("; last read"), size_t{200})));
  }

  Result<Json> take() && {
    if (!status_.ok()) return status_;
    return std::move(root_);
  }

 private:
  struct Frame {
    Json value;
    std::string key;
    std::unordered_set<std::string> keys;
  };

  bool fail(std::string_view why) {
    if (status_.ok())
      status_ = invalid_argument(limits_.room, what_, " is not acceptable JSON: ", why);
    return false;
  }

  bool count() {
    if (++values_ <= limits_.max_values) return true;
    return fail(str_cat("it has more than ", limits_.max_values, " values"));
  }

  bool add(Json value) { return count() && place(std::move(value)); }

  bool place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Frame& frame = open_.back();
    if (frame.value.is_array()) {
      frame.value.get_ref<Json::array_t&>().push_back(std::move(value));
    } else {
      // `keys` has shown that the key is new: append without the search that operator[] does.
      frame.value.get_ref<Json::object_t&>().emplace_back(std::move(frame.key), std::move(value));
    }
    return true;
  }

  bool open(Json value) {
    if (!count()) return false;
    if (open_.size() >= static_cast<size_t>(limits_.max_depth)) {
      return fail(str_cat("it is nested deeper than ", limits_.max_depth, " levels"));
    }
    open_.push_back({std::move(value), {}, {}});
    return true;
  }

  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return place(std::move(value));
  }

  std::string_view what_;
  const JsonLimits& limits_;
  std::vector<Frame> open_;
  Json root_;
  size_t values_ = 0;
  Status status_;
};

}  // namespace

Result<Json> parse_json(std::string_view text, std::string_view what, const JsonLimits& limits) {
  Builder builder(what, limits);
  try {
    Json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const std::exception& error) {
    return invalid_argument(limits.room, what, " is not acceptable JSON: ", error.what());
  }
  return std::move(builder).take();
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace mokume
