// The JSON of a safetensors header: {name: {"dtype": text, "shape": [n, ...], "data_offsets":
// [begin, end]}, ..., "__metadata__": {text: text, ...}}. Read as a stream: nothing of another
// structure is ever built.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "absl/strings/escaping.h"
#include "weights/safetensors_header.h"

namespace mokume {
namespace {

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxDimensions = 16;
constexpr std::string_view kMetadata = "__metadata__";

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(std::string_view path) : path_(path) {}

  std::vector<SafetensorsInfo> infos;
  Status status = absl::OkStatus();

  bool start_object(size_t) override {
    if (depth_ == 1 && !metadata_) infos.push_back({.name = name_});
    if (depth_ >= 2) return unexpected("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    const bool tensor_ends = depth_ == 1 && !metadata_;
    metadata_ = false;
    return !tensor_ends || finish_tensor();
  }
  bool key(string_t& text) override { return depth_ == 1 ? start_entry(text) : start_field(text); }
  bool start_array(size_t) override {
    if (depth_ != 2 || metadata_ || (field_ != "shape" && field_ != "data_offsets")) {
      return unexpected("an array");
    }
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool string(string_t& text) override {
    if (depth_ != 2) return unexpected("a string");
    if (metadata_) return true;
    if (field_ != "dtype") return unexpected("a string");
    infos.back().dtype = text;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) return unexpected("a number");
    std::vector<uint64_t>& numbers = field_ == "shape" ? infos.back().shape : offsets_;
    if (numbers.size() == kMaxDimensions) return unexpected("more numbers than belong there");
    numbers.push_back(value);
    return true;
  }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is no 64-bit integer");
  }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool null() override { return unexpected("null"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return fail("the header is no JSON at its byte ", position);
  }

 private:
  template <typename... Args>
  bool fail(const Args&... args) {
    if (status.ok()) status = invalid_argument("weights", args..., " (", path_, ")");
    return false;
  }

  bool unexpected(std::string_view what) {
    return fail("the header has ", what, " where a tensor's dtype, shape and data_offsets belong",
                name_.empty() ? "" : str_cat(", at ", name_));
  }

  bool start_entry(const std::string& name) {
    if (name.empty() || name.size() > kMaxNameBytes || !is_printable(name)) {
      return fail("a tensor is called \"", absl::CHexEscape(name.substr(0, 64)),
                  "\"; names are 1 to ", kMaxNameBytes, " characters of printable ASCII");
    }
    if (!seen_.insert(name).second) return fail("tensor ", name, " is in the file twice");
    name_ = name;
    metadata_ = name == kMetadata;
    fields_.clear();
    offsets_.clear();
    return true;
  }

  bool start_field(const std::string& field) {
    field_ = field;
    if (metadata_) return true;
    if (field != "dtype" && field != "shape" && field != "data_offsets") {
      return fail("tensor ", name_, " has a field \"", absl::CHexEscape(field.substr(0, 64)),
                  "\"; must be dtype, shape and data_offsets");
    }
    if (fields_.insert(field).second) return true;
    return fail("tensor ", name_, " has ", field, " twice");
  }

  bool finish_tensor() {
    if (fields_.size() != 3) return fail("tensor ", name_, " lacks dtype, shape or data_offsets");
    if (offsets_.size() != 2) return fail("tensor ", name_, " must have two data_offsets");
    infos.back().begin = offsets_[0];
    infos.back().end = offsets_[1];
    return true;
  }

  std::string_view path_;
  int depth_ = 0;  ///< 1 in the header, 2 in a tensor, 3 in one of its arrays
  bool metadata_ = false;
  std::string name_, field_;
  std::set<std::string> seen_, fields_;
  std::vector<uint64_t> offsets_;
};

}  // namespace

Result<std::vector<SafetensorsInfo>> parse_safetensors_json(std::string_view json,
                                                            std::string_view path) {
  if (json.empty() || json.front() != '{') {
    return invalid_argument("weights", "the header must start with { (", path, ")");
  }
  HeaderReader reader(path);
  if (nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) return std::move(reader.infos);
  if (!reader.status.ok()) return reader.status;
  return invalid_argument("weights", "the header is no JSON (", path, ")");
}

}  // namespace mokume
