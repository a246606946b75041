#include "config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <istream>
#include <optional>
#include <sstream>

#include "base/text.h"
#include "base/utf8.h"

namespace mokume {
namespace {

/// Leaves yaml-cpp's parser from inside an event; caught in parse_yaml().
struct Stop : std::exception {
  Stop(int at_line, std::string text) : line(at_line), message(std::move(text)) {}
  int line;
  std::string message;
};

/// Builds the tree. Limits are checked before yaml-cpp descends, so its recursion is bounded as
/// well.
class TreeBuilder final : public YAML::EventHandler {
 public:
  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      throw Stop(line_of(mark), "the file holds a second YAML document; one is wanted");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, {}); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Stop(line_of(mark), "YAML aliases (*name) are not supported; write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    check_tag(mark, tag);
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.text = value;
    node.quoted = tag == "!";
    add(mark, std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { stack_.pop_back(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { stack_.pop_back(); }

 private:
  struct Level {
    YamlNode* node;
    std::optional<YamlNode::Entry> pending;  ///< a map's key whose value is still to come
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }

  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Stop(line_of(mark), "YAML tags are not supported; remove " + quote(tag));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    check_tag(mark, tag);
    if (stack_.size() >= kMaxYamlDepth) {
      throw Stop(line_of(mark), str_cat("values are nested more than ", kMaxYamlDepth, " deep"));
    }
    YamlNode node;
    node.kind = kind;
    stack_.push_back({add(mark, std::move(node)), std::nullopt});
  }

  /// Stores a node where the parser stands; the pointer stays good while the node is the last of
  /// its parent.
  YamlNode* add(const YAML::Mark& mark, YamlNode node) {
    if (++nodes_ > kMaxYamlNodes) {
      throw Stop(line_of(mark), str_cat("the file holds more than ", kMaxYamlNodes, " values"));
    }
    node.line = line_of(mark);
    if (stack_.empty()) {
      root_ = std::move(node);
      return &root_;
    }
    Level& level = stack_.back();
    if (level.node->kind == YamlNode::Kind::kMap && !level.pending) {
      level.pending = key_of(*level.node, node);
      return nullptr;
    }
    YamlNode::Entry entry =
        level.pending ? std::move(*level.pending) : YamlNode::Entry{"", node.line, {}};
    level.pending.reset();
    // An absent value stands nowhere of its own; yaml-cpp puts it on the next line.
    if (node.kind == YamlNode::Kind::kNull) node.line = entry.line;
    entry.value = std::move(node);
    level.node->entries.push_back(std::move(entry));
    return &level.node->entries.back().value;
  }

  static YamlNode::Entry key_of(const YamlNode& map, const YamlNode& key) {
    if (key.kind != YamlNode::Kind::kScalar) throw Stop(key.line, "a key must be a plain word");
    const auto same = std::find_if(map.entries.begin(), map.entries.end(),
                                   [&](const auto& entry) { return entry.key == key.text; });
    if (same != map.entries.end()) {
      throw Stop(key.line,
                 str_cat("key ", quote(key.text), " is given twice, first in line ", same->line));
    }
    return {key.text, key.line, {}};
  }

  YamlNode root_;
  std::vector<Level> stack_;
  int documents_ = 0;
  int nodes_ = 0;
};

/// The line of the first byte that a file must not hold; 0 when there is none.
int first_bad_line(std::string_view text) {
  const size_t malformed = find_invalid_utf8(text).value_or(text.size());
  const auto control = std::find_if(text.begin(), text.begin() + malformed, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t';
  });
  if (control == text.end()) return 0;
  return 1 + static_cast<int>(std::count(text.begin(), control, '\n'));
}

Status parse_failed(const std::string& file, int line, std::string_view message) {
  return invalid_argument("config", message, " (", file, line > 0 ? str_cat(":", line) : "", ")");
}

Result<YamlNode> build_tree(std::string_view text) {
  std::istringstream stream{std::string(text)};
  YAML::Parser parser(stream);
  TreeBuilder builder;
  while (parser.HandleNextDocument(builder)) {
  }
  return builder.take_root();
}

}  // namespace

Result<YamlNode> parse_yaml(std::string_view text, const std::string& file) {
  if (text.size() > kMaxConfigBytes) {
    return parse_failed(file, 0,
                        str_cat("the file is larger than ", format_bytes(kMaxConfigBytes)));
  }
  if (const int line = first_bad_line(text); line > 0) {
    return parse_failed(file, line, "the file is not plain UTF-8 text");
  }
  try {
    return build_tree(text);
  } catch (const Stop& stop) {
    return parse_failed(file, stop.line, stop.message);
  } catch (const YAML::Exception& error) {
    return parse_failed(file, error.mark.line + 1, str_cat("not valid YAML: ", error.msg));
  } catch (const std::exception& error) {
    return parse_failed(file, 0, str_cat("not valid YAML: ", error.what()));
  }
}

}  // namespace mokume
