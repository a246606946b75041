#include <utility>

#include "api/errors.h"
#include "http/decode_options.h"

namespace mokume {
namespace {

constexpr std::string_view kPromptShapes =
    "a string, an array of strings, an array of token ids, or an array of those";

Result<Prompt> decode_prompt(const Json& value) {
  if (value.is_string()) return Prompt(value.get<std::string>());
  if (!value.is_array()) return field_error("prompt", "prompt must be ", kPromptShapes);
  MKM_ASSIGN_OR_RETURN(std::vector<int64_t> ids, to_integers(value, "prompt"));
  return Prompt(std::move(ids));
}

Result<std::vector<Prompt>> decode_prompts(const Json* value) {
  if (!value) return field_error("prompt", "prompt is missing: ", kPromptShapes);
  std::vector<Prompt> prompts;
  const bool several =
      value->is_array() && !value->empty() && ((*value)[0].is_string() || (*value)[0].is_array());
  if (!several) {
    MKM_ASSIGN_OR_RETURN(prompts.emplace_back(), decode_prompt(*value));
    return prompts;
  }
  for (const Json& item : *value) {
    if (item.is_string() != (*value)[0].is_string()) {
      return field_error("prompt", "prompt mixes text and token ids, it must be ", kPromptShapes);
    }
    MKM_ASSIGN_OR_RETURN(prompts.emplace_back(), decode_prompt(item));
  }
  return prompts;
}

}  // namespace

Result<CompletionBody> decode_completion(std::string_view body) {
  MKM_ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  CompletionBody completion;
  GenerationOptions& options = completion.request.options;
  MKM_ASSIGN_OR_RETURN(completion.request.prompts, decode_prompts(fields.find("prompt")));
  fields.read("add_special_tokens", completion.request.add_special);
  fields.read("logprobs", options.top_logprobs);
  fields.read("echo", options.echo);
  decode_options(fields, options);
  decode_answer_options(fields, completion.answer);
  refuse_unsupported(fields);
  MKM_RETURN_IF_ERROR(fields.status());
  return completion;
}

}  // namespace mokume
