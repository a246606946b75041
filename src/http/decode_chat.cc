#include <utility>

#include "api/errors.h"
#include "http/decode_options.h"

namespace mokume {
namespace {

void decode_logprobs(Fields& fields, GenerationOptions& options) {
  bool wanted = false;
  fields.read("logprobs", wanted);
  fields.read("top_logprobs", options.top_logprobs);
  if (options.top_logprobs && !wanted) {
    // 0 asks for nothing, and some clients always send it.
    if (*options.top_logprobs != 0) {
      fields.fail(field_error("top_logprobs", "top_logprobs needs logprobs: true"));
    }
    options.top_logprobs.reset();
  }
  if (wanted && !options.top_logprobs) options.top_logprobs = 0;
}

/// False when the tools are to be kept from the model.
bool decode_tool_choice(Fields& fields) {
  const Json* choice = fields.find("tool_choice");
  if (!choice || *choice == "auto") return true;
  if (*choice != "none") {
    fields.fail(field_error("tool_choice",
                            "tool_choice must be \"none\" or \"auto\": calls cannot be enforced"));
  }
  return false;
}

void decode_json(Fields& fields, const char* name, std::string& target) {
  if (const Json* value = fields.find(name)) target = dump_json(*value);
}

}  // namespace

Result<ChatBody> decode_chat(std::string_view body) {
  MKM_ASSIGN_OR_RETURN(const Json json, parse_body(body));
  Fields fields(json);
  ChatBody chat;
  if (!fields.find("messages"))
    return field_error("messages", "messages is missing: an array of {role, content}");
  decode_json(fields, "messages", chat.request.messages_json);
  if (decode_tool_choice(fields)) decode_json(fields, "tools", chat.request.tools_json);
  decode_json(fields, "chat_template_kwargs", chat.request.template_kwargs_json);
  fields.read("add_generation_prompt", chat.request.add_generation_prompt);
  fields.read("echo", chat.request.options.echo);
  decode_options(fields, chat.request.options);
  decode_logprobs(fields, chat.request.options);
  decode_answer_options(fields, chat.answer);
  refuse_unsupported(fields);
  MKM_RETURN_IF_ERROR(fields.status());
  return chat;
}

}  // namespace mokume
