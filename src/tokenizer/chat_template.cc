#include "tokenizer/chat_template.h"

#include <new>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace mokume {
namespace {

Status status_of(const jinja::Error& error, std::string_view where) {
  if (error.kind == jinja::Error::Kind::kLimit) {
    return resource_exhausted("tokenizer", error.message, where);
  }
  return invalid_argument("tokenizer", error.message, where);
}

class JinjaTemplate final : public ChatTemplate {
 public:
  explicit JinjaTemplate(jinja::Body body) : body_(std::move(body)) {}

  Result<std::string> render(const nlohmann::ordered_json& context,
                             const TemplateLimits& limits) const override {
    int line = 0;
    try {
      jinja::Interpreter interpreter(body_, limits);
      try {
        return interpreter.run(context);
      } catch (...) {
        line = interpreter.line();
        throw;
      }
    } catch (const jinja::Error& error) {
      return status_of(error, str_cat(" (chat template, line ", line, ")"));
    } catch (const std::bad_alloc&) {
      return resource_exhausted("tokenizer", "no memory to run the chat template");
    } catch (const std::exception& error) {
      return internal_error("tokenizer", "the chat template failed: ", error.what(), " (line ",
                            line, ")");
    }
  }

 private:
  const jinja::Body body_;
};

}  // namespace

Result<std::shared_ptr<const ChatTemplate>> ChatTemplate::parse(std::string_view source) {
  try {
    return std::make_shared<const JinjaTemplate>(jinja::parse_template(source));
  } catch (const jinja::Error& error) {
    return status_of(error, "; in the chat template");
  } catch (const std::bad_alloc&) {
    return resource_exhausted("tokenizer", "no memory to read the chat template");
  } catch (const std::exception& error) {
    return internal_error("tokenizer", "the chat template cannot be read: ", error.what());
  }
}

}  // namespace mokume
