#include "config/value.h"

#include <algorithm>

#include "base/text.h"

namespace mokume {
namespace {

constexpr size_t kLongestNameBytes = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_boolean(std::string_view text) {
  return equal_ignoring_case(text, "true") || equal_ignoring_case(text, "false");
}

/// Digits with an optional sign and nothing else.
bool is_integer(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

bool is_number(std::string_view text) {
  if (is_integer(text)) return true;
  double ignored = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ignored);
  return !text.empty() && is_digit(text.back()) && error != std::errc::invalid_argument &&
         end == text.data() + text.size();
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "empty";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a section of keys";
    case YamlNode::Kind::kScalar:
      break;
  }
  if (node.quoted) return str_cat("the text ", quote(node.text));
  if (is_boolean(node.text)) return str_cat("the boolean ", node.text);
  if (is_number(node.text)) return str_cat("the number ", node.text.substr(0, kLongestNameBytes));
  return str_cat("the text ", quote(node.text));
}

Status unknown_key(const ConfigValue& section, const YamlNode::Entry& entry,
                   std::span<const std::string> known) {
  const std::optional<std::string> right = nearest(entry.key, known);
  const std::string hint = right ? str_cat("did you mean ", quote(*right), "?")
                                 : str_cat("known keys: ", join(known, ", "));
  const std::string inside = section.path().empty() ? "" : str_cat(" in ", section.path());
  const ConfigLocation where{section.where().file, entry.line};
  return invalid_argument("config", "unknown key ", quote(entry.key), inside, "; ", hint, " (",
                          where.to_string(), ")");
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                  c == '.' || c == '-';
         });
}

}  // namespace

ConfigValue ConfigValue::child(const YamlNode& node, std::string_view key) const {
  return ConfigValue(node, path_.empty() ? std::string(key) : str_cat(path_, ".", key), file_);
}

ConfigValue ConfigValue::element(size_t index) const {
  return ConfigValue(node_->entries[index].value, str_cat(path_, "[", index, "]"), file_);
}

Status ConfigValue::error(std::string_view message) const {
  return invalid_argument("config", path_.empty() ? "the file" : path_, " ", message, " (",
                          where().to_string(), ")");
}

Status ConfigValue::wrong_type(std::string_view wanted, std::string_view example) const {
  return error(str_cat("is ", describe(*node_), "; ", wanted, " is wanted, such as ", example));
}

Status read_section(const ConfigValue& value, std::initializer_list<ConfigField> fields) {
  std::vector<std::string> known;
  for (const ConfigField& field : fields) known.emplace_back(field.key);
  if (value.node().kind != YamlNode::Kind::kMap) {
    return value.wrong_type("a section of keys", str_cat("{", known.front(), ": ...}"));
  }
  for (const YamlNode::Entry& entry : value.node().entries) {
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&](const ConfigField& each) { return each.key == entry.key; });
    if (field == fields.end()) return unknown_key(value, entry, known);
    MKM_RETURN_IF_ERROR(field->read(value.child(entry.value, entry.key)));
  }
  for (const ConfigField& field : fields) {
    const auto& entries = value.node().entries;
    const bool given = std::any_of(entries.begin(), entries.end(),
                                   [&](const auto& entry) { return entry.key == field.key; });
    if (field.required && !given) return value.error(str_cat("lacks the key ", quote(field.key)));
  }
  return absl::OkStatus();
}

Status read_list(const ConfigValue& value, size_t least, size_t most,
                 const std::function<Status(const ConfigValue&)>& read) {
  if (value.node().kind != YamlNode::Kind::kSequence) return value.wrong_type("a list", "[...]");
  const size_t count = value.node().entries.size();
  if (count < least || count > most) {
    return value.error(str_cat("has ", count, " entries; it must have from ", least, " to ", most));
  }
  for (size_t i = 0; i < count; ++i) MKM_RETURN_IF_ERROR(read(value.element(i)));
  return absl::OkStatus();
}

Result<std::string> read_text(const ConfigValue& value, std::string_view example) {
  const YamlNode& node = value.node();
  const bool other = !node.quoted && (is_boolean(node.text) || is_number(node.text));
  if (node.kind != YamlNode::Kind::kScalar || other)
    return value.wrong_type("text", quote(example));
  return node.text;
}

Result<int64_t> read_integer(const ConfigValue& value, int64_t least, int64_t most) {
  const YamlNode& node = value.node();
  if (node.kind != YamlNode::Kind::kScalar || node.quoted || !is_integer(node.text)) {
    return value.wrong_type("an integer", str_cat(least));
  }
  const std::optional<int64_t> number = parse_integer<int64_t>(node.text);
  if (!number || *number < least || *number > most) {
    return value.error(str_cat("is ", node.text.substr(0, kLongestNameBytes), "; it must be from ",
                               least, " to ", most));
  }
  return *number;
}

Result<uint64_t> read_size(const ConfigValue& value, uint64_t least, uint64_t most) {
  if (value.node().kind != YamlNode::Kind::kScalar) return value.wrong_type("a size", "8MiB");
  const Result<uint64_t> bytes = parse_bytes(value.node().text);
  if (!bytes.ok()) return value.error(str_cat("is wrong: ", bytes.status().message()));
  if (*bytes < least || *bytes > most) {
    return value.error(str_cat("is ", format_bytes(*bytes), "; it must be from ",
                               format_bytes(least), " to ", format_bytes(most)));
  }
  return *bytes;
}

Result<std::string> read_name(const ConfigValue& value, std::string_view example) {
  MKM_ASSIGN_OR_RETURN(std::string text, read_text(value, example));
  if (is_name(text)) return text;
  return value.error(str_cat("is ", quote(text), "; a name has 1 to ", kLongestNameBytes,
                             " of the characters A-Z, a-z, 0-9, _, . and -"));
}

Result<std::string> read_choice(const ConfigValue& value, std::span<const std::string> choices) {
  // "off" and its like are words here, so the plain text counts, whatever YAML would make of it.
  if (value.node().kind != YamlNode::Kind::kScalar)
    return value.wrong_type("text", choices.front());
  const std::string& text = value.node().text;
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
  const std::optional<std::string> right = nearest(text, choices);
  const std::string hint =
      right && choices.size() > 1 ? str_cat("; did you mean ", quote(*right), "?") : "";
  return value.error(
      str_cat("is ", quote(text), "; it must be one of: ", join(choices, ", "), hint));
}

Result<std::pair<int, int>> read_range(const ConfigValue& value, int most) {
  const YamlNode& node = value.node();
  const std::string_view text = node.text;
  const size_t dash = text.find('-');
  const std::string_view first_text = text.substr(0, dash);
  const std::string_view last_text =
      dash == std::string_view::npos ? first_text : text.substr(dash + 1);
  const auto digits = [](std::string_view part) { return is_integer(part) && is_digit(part[0]); };
  if (node.kind != YamlNode::Kind::kScalar || !digits(first_text) || !digits(last_text)) {
    return value.wrong_type("a range", "0-14, or 7 for one");
  }
  const std::optional<int> first = parse_integer<int>(first_text);
  const std::optional<int> last = parse_integer<int>(last_text);
  if (!first || !last || *first > most || *last > most) {
    return value.error(str_cat("is ", quote(text), "; both ends must be from 0 to ", most));
  }
  return std::pair(*first, *last);
}

std::function<Status(const ConfigValue&)> integer(int& out, int64_t least, int64_t most) {
  return [&out, least, most](const ConfigValue& value) {
    const Result<int64_t> number = read_integer(value, least, most);
    if (number.ok()) out = static_cast<int>(*number);
    return number.status();
  };
}

std::function<Status(const ConfigValue&)> size(uint64_t& out, uint64_t least, uint64_t most) {
  return [&out, least, most](const ConfigValue& value) {
    const Result<uint64_t> bytes = read_size(value, least, most);
    if (bytes.ok()) out = *bytes;
    return bytes.status();
  };
}

std::function<Status(const ConfigValue&)> name(std::string& out, std::string_view example) {
  return [&out, example](const ConfigValue& value) {
    const Result<std::string> text = read_name(value, example);
    if (text.ok()) out = *text;
    return text.status();
  };
}

std::function<Status(const ConfigValue&)> choice(std::string& out,
                                                 std::vector<std::string> choices) {
  return [&out, choices = std::move(choices)](const ConfigValue& value) {
    const Result<std::string> text = read_choice(value, choices);
    if (text.ok()) out = *text;
    return text.status();
  };
}

}  // namespace mokume
