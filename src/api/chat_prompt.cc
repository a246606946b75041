#include "api/chat_prompt.h"

#include <array>
#include <utility>

#include "api/errors.h"
#include "tokenizer/json.h"

namespace mokume {
namespace {

constexpr size_t kMaxMessages = 4096;
constexpr size_t kMaxTools = 512;
constexpr std::array<std::string_view, 5> kReserved = {"messages", "tools", "add_generation_prompt",
                                                       "bos_token", "eos_token"};

Result<std::string> join_parts(const Json& parts, const std::string& where) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string at = str_cat(where, "[", i, "]");
    const Json& part = parts[i];
    if (!part.is_object()) return field_error(at, at, " must be an object");
    const auto type = part.find("type");
    if (type == part.end() || !type->is_string())
      return field_error(at, at, ".type must be a string");
    if (*type != "text") {
      return field_error(at, at, ".type is \"", type->get_ref<const std::string&>().substr(0, 80),
                         "\", this model takes only \"text\"");
    }
    const auto piece = part.find("text");
    if (piece == part.end() || !piece->is_string())
      return field_error(at, at, ".text must be a string");
    text += piece->get_ref<const std::string&>();
  }
  return text;
}

bool is_present(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && !it->is_null();
}

Status normalize_content(Json& message, const std::string& where) {
  const std::string at = where + ".content";
  const auto content = message.find("content");
  if (content == message.end()) {
    if (is_present(message, "tool_calls") || is_present(message, "function_call")) return {};
    return field_error(at, at, " is missing");
  }
  if (content->is_string()) return {};
  if (content->is_null()) {
    // Templates join content to text, which null would break; beside tool calls they test for it.
    if (!is_present(message, "tool_calls")) *content = "";
    return {};
  }
  if (!content->is_array())
    return field_error(at, at, " must be a string, null or an array of text parts");
  MKM_ASSIGN_OR_RETURN(std::string text, join_parts(*content, at));
  *content = std::move(text);
  return {};
}

void parse_arguments(Json& call) {
  if (!call.is_object()) return;
  const auto function = call.find("function");
  if (function == call.end() || !function->is_object()) return;
  const auto arguments = function->find("arguments");
  if (arguments == function->end() || !arguments->is_string()) return;
  Result<Json> parsed = parse_json(arguments->get_ref<const std::string&>(), "arguments");
  if (parsed.ok() && parsed->is_object()) *arguments = *std::move(parsed);
}

Status normalize_tool_calls(Json& message, const std::string& where) {
  const auto calls = message.find("tool_calls");
  if (calls == message.end() || calls->is_null()) return {};
  const std::string at = where + ".tool_calls";
  if (!calls->is_array()) return field_error(at, at, " must be an array");
  for (Json& call : *calls) {
    if (!call.is_object()) return field_error(at, at, " must hold objects");
    parse_arguments(call);
  }
  return {};
}

Status normalize_message(Json& message, size_t index) {
  const std::string where = str_cat("messages[", index, "]");
  if (!message.is_object())
    return field_error(where, where, " must be an object with role and content");
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string() || role->empty() ||
      role->get_ref<const std::string&>().empty()) {
    return field_error(where + ".role", where, ".role must be a string such as \"user\"");
  }
  MKM_RETURN_IF_ERROR(normalize_content(message, where));
  return normalize_tool_calls(message, where);
}

Result<Json> read_messages(const std::string& text) {
  MKM_ASSIGN_OR_RETURN(Json messages, parse_json(text, "messages"));
  if (!messages.is_array() || messages.empty()) {
    return field_error("messages", "messages must be an array of at least one message");
  }
  if (messages.size() > kMaxMessages) {
    return field_error("messages", "messages has ", messages.size(), " entries, at most ",
                       kMaxMessages, " are allowed");
  }
  for (size_t i = 0; i < messages.size(); ++i)
    MKM_RETURN_IF_ERROR(normalize_message(messages[i], i));
  return messages;
}

Result<Json> read_tools(const std::string& text) {
  MKM_ASSIGN_OR_RETURN(Json tools, parse_json(text, "tools"));
  if (!tools.is_array()) return field_error("tools", "tools must be an array");
  if (tools.size() > kMaxTools)
    return field_error("tools", "tools has more than ", kMaxTools, " entries");
  for (const Json& tool : tools) {
    if (!tool.is_object()) return field_error("tools", "tools must hold objects");
  }
  return tools;
}

Status add_kwargs(const std::string& text, Json& context) {
  MKM_ASSIGN_OR_RETURN(Json kwargs, parse_json(text, "chat_template_kwargs"));
  if (!kwargs.is_object())
    return field_error("chat_template_kwargs", "chat_template_kwargs must be an object");
  for (const auto& [name, value] : kwargs.items()) {
    for (const std::string_view reserved : kReserved) {
      if (name == reserved) {
        return field_error("chat_template_kwargs", "chat_template_kwargs may not set ", name);
      }
    }
    context[name] = value;
  }
  return {};
}

}  // namespace

Result<std::string> render_chat(const ChatRequest& request, const ChatTemplate& chat_template,
                                const Tokenizer& tokenizer) {
  Json context = Json::object();
  MKM_ASSIGN_OR_RETURN(context["messages"], read_messages(request.messages_json));
  if (!request.tools_json.empty()) {
    MKM_ASSIGN_OR_RETURN(Json tools, read_tools(request.tools_json));
    if (!tools.empty()) context["tools"] = std::move(tools);
  }
  context["add_generation_prompt"] = request.add_generation_prompt;
  context["bos_token"] = tokenizer.special_text(tokenizer.spec().bos);
  context["eos_token"] = tokenizer.special_text(tokenizer.spec().eos);
  if (!request.template_kwargs_json.empty()) {
    MKM_RETURN_IF_ERROR(add_kwargs(request.template_kwargs_json, context));
  }
  Result<std::string> text = chat_template.render(context);
  if (text.ok() || absl::IsInvalidArgument(text.status())) return text;
  return field_error("messages", "the chat template failed: ", client_message(text.status()));
}

}  // namespace mokume
