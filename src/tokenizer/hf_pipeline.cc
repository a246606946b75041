#include "tokenizer/hf_pipeline.h"

#include <functional>

#include "base/text.h"

namespace mokume {
namespace {

constexpr int kMaxNesting = 8;

/// Calls `step` for `field`, or for each step that a Sequence lists under `list`, in order.
Status for_each_step(const JsonField& field, std::string_view list,
                     const std::function<Status(const JsonField&, const std::string&)>& step,
                     int depth = 0) {
  MKM_RETURN_IF_ERROR(field.object().status());
  MKM_ASSIGN_OR_RETURN(const std::string type, field.type());
  if (type != "Sequence") return step(field, type);
  if (depth == kMaxNesting) return field.error("nests deeper than ", kMaxNesting, " levels");
  const JsonField steps = field[list];
  MKM_ASSIGN_OR_RETURN(const Json* array, steps.array());
  for (size_t i = 0; i < array->size(); ++i) {
    MKM_RETURN_IF_ERROR(for_each_step(steps[i], list, step, depth + 1));
  }
  return absl::OkStatus();
}

/// `literal` as a pattern that matches just that.
std::string escape_pattern(std::string_view literal) {
  std::string pattern;
  for (const char c : literal) {
    const bool special = std::string_view("\\^$.|?*+()[]{}").find(c) != std::string_view::npos;
    if (special) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

/// Collects rules until ByteLevel, which must come last.
class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(TokenizerSpec& spec) : spec_(spec) {}

  Status step(const JsonField& field, const std::string& type) {
    if (byte_level_) return field.unsupported("comes after ByteLevel, which is not supported");
    if (type == "ByteLevel") return byte_level(field);
    if (type == "Split") return split(field);
    if (type == "Digits") return digits(field);
    if (type == "Punctuation") return punctuation(field);
    return field.unsupported("is ", quote(type),
                             "; supported are Sequence, Split, Digits, Punctuation and ByteLevel");
  }

  bool byte_level() const { return byte_level_; }

 private:
  Status byte_level(const JsonField& field) {
    byte_level_ = true;
    MKM_ASSIGN_OR_RETURN(spec_.prefix_space, field["add_prefix_space"].boolean(true));
    if (spec_.prefix_space && !rules().empty()) {
      return field["add_prefix_space"].unsupported(
          "may be true only where nothing cuts the text before");
    }
    MKM_ASSIGN_OR_RETURN(const bool use_regex, field["use_regex"].boolean(true));
    if (!use_regex) return absl::OkStatus();
    MKM_ASSIGN_OR_RETURN(Splitting gpt2, splitting_of("gpt-2"));
    return add(field, std::move(gpt2.rules[0]));
  }

  Status split(const JsonField& field) {
    const JsonField pattern = field["pattern"];
    SplitRule rule;
    if (pattern["String"].has_value()) {
      MKM_ASSIGN_OR_RETURN(const std::string literal, pattern["String"].string());
      rule.pattern = escape_pattern(literal);
    } else {
      MKM_ASSIGN_OR_RETURN(rule.pattern, pattern["Regex"].string());
    }
    MKM_ASSIGN_OR_RETURN(const std::string behavior, field["behavior"].string());
    MKM_ASSIGN_OR_RETURN(const bool invert, field["invert"].boolean(false));
    if (behavior == "Removed" && invert) {
      rule.keeps_gaps = false;
    } else if (behavior != "Isolated") {
      return field["behavior"].unsupported("is ", quote(behavior),
                                           "; supported are Isolated, and Removed with invert");
    }
    return add(field, std::move(rule));
  }

  Status digits(const JsonField& field) {
    MKM_ASSIGN_OR_RETURN(const bool individual, field["individual_digits"].boolean(false));
    return add(field, {individual ? R"(\p{N})" : R"(\p{N}+)"});
  }

  /// ASCII's punctuation (of which Unicode calls some symbols) and Unicode's.
  Status punctuation(const JsonField& field) {
    const JsonField behavior = field["behavior"];
    MKM_ASSIGN_OR_RETURN(const std::string name,
                         behavior.has_value() ? behavior.string() : std::string("Isolated"));
    if (name != "Isolated" && name != "Contiguous") {
      return behavior.unsupported("is ", quote(name), "; supported are Isolated and Contiguous");
    }
    return add(field, {str_cat(R"([\p{P}$+<=>^`|~])", name == "Contiguous" ? "+" : "")});
  }

  Status add(const JsonField& field, SplitRule rule) {
    if (rules().size() == PreTokenizer::kMaxRules) {
      return field.error("is one step too many; at most ", PreTokenizer::kMaxRules);
    }
    rules().push_back(std::move(rule));
    return absl::OkStatus();
  }

  std::vector<SplitRule>& rules() { return spec_.splitting.rules; }

  TokenizerSpec& spec_;
  bool byte_level_ = false;
};

Result<TokenId> special_token_id(const JsonField& post_processor, const JsonField& item,
                                 const TokenizerSpec& spec) {
  MKM_ASSIGN_OR_RETURN(const std::string name, item["SpecialToken"]["id"].string());
  const JsonField ids = post_processor["special_tokens"][name]["ids"];
  MKM_ASSIGN_OR_RETURN(const Json* array, ids.array());
  if (array->size() != 1) return ids.unsupported("must have one id");
  MKM_ASSIGN_OR_RETURN(const int64_t id,
                       ids[0].integer(0, static_cast<int64_t>(spec.tokens.size()) - 1));
  return static_cast<TokenId>(id);
}

/// [SpecialToken] Sequence [SpecialToken]
Status read_template(const JsonField& post_processor, TokenizerSpec& spec) {
  const JsonField single = post_processor["single"];
  MKM_ASSIGN_OR_RETURN(const Json* items, single.array());
  bool after_text = false;
  for (size_t i = 0; i < items->size(); ++i) {
    const JsonField item = single[i];
    if (item["Sequence"].has_value() && !after_text) {
      after_text = true;
      continue;
    }
    bool& adds = after_text ? spec.add_eos : spec.add_bos;
    if (!item["SpecialToken"].has_value() || adds) {
      return item.unsupported(
          "is not supported; a template is the text, with one token before it "
          "and one after it at most");
    }
    adds = true;
    MKM_ASSIGN_OR_RETURN((after_text ? spec.eos : spec.bos),
                         special_token_id(post_processor, item, spec));
  }
  if (!after_text) return single.error("lacks the text itself: {\"Sequence\": {\"id\": \"A\"}}");
  return absl::OkStatus();
}

}  // namespace

Status read_normalizer(const JsonField& normalizer, TokenizerSpec& spec) {
  if (!normalizer.has_value()) return absl::OkStatus();
  const auto step = [&spec](const JsonField& field, const std::string& type) -> Status {
    if (type != "NFC") {
      return field.unsupported("is ", quote(type), "; supported are NFC, Sequence and null");
    }
    spec.normalizes = true;
    return absl::OkStatus();
  };
  return for_each_step(normalizer, "normalizers", step);
}

Status read_pre_tokenizer(const JsonField& pre_tokenizer, TokenizerSpec& spec) {
  PreTokenizerReader reader(spec);
  if (pre_tokenizer.has_value()) {
    const auto step = [&reader](const JsonField& field, const std::string& type) {
      return reader.step(field, type);
    };
    MKM_RETURN_IF_ERROR(for_each_step(pre_tokenizer, "pretokenizers", step));
  }
  if (!reader.byte_level()) {
    return pre_tokenizer.unsupported(
        "has no ByteLevel step; only byte-level vocabularies are supported, not SentencePiece's");
  }
  spec.pre_tokenizer = name_of(spec.splitting);
  if (!spec.pre_tokenizer.empty()) spec.splitting = {};
  return absl::OkStatus();
}

Status read_post_processor(const JsonField& post_processor, TokenizerSpec& spec) {
  if (!post_processor.has_value()) return absl::OkStatus();
  const auto step = [&spec](const JsonField& field, const std::string& type) -> Status {
    if (type == "ByteLevel") return absl::OkStatus();  // about offsets into the text only
    if (type == "TemplateProcessing") return read_template(field, spec);
    return field.unsupported("is ", quote(type),
                             "; supported are TemplateProcessing, ByteLevel and Sequence");
  };
  return for_each_step(post_processor, "processors", step);
}

Status check_decoder(const JsonField& decoder) {
  if (!decoder.has_value()) return absl::OkStatus();
  const auto step = [](const JsonField& field, const std::string& type) -> Status {
    if (type == "ByteLevel") return absl::OkStatus();
    return field.unsupported("is ", quote(type), "; supported is ByteLevel");
  };
  return for_each_step(decoder, "decoders", step);
}

}  // namespace mokume
