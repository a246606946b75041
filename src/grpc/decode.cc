#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "grpc/wire.h"

namespace mokume {
namespace {

namespace pb = google::protobuf;

GenerationOptions decode_options(const std::string& model, const v1::GenerationOptions& in) {
  GenerationOptions out;
  out.model = model;
  if (in.has_max_tokens()) out.max_tokens = in.max_tokens();
  if (in.has_temperature()) out.temperature = in.temperature();
  if (in.has_top_p()) out.top_p = in.top_p();
  if (in.has_min_p()) out.min_p = in.min_p();
  if (in.has_top_k()) out.top_k = in.top_k();
  if (in.has_presence_penalty()) out.presence_penalty = in.presence_penalty();
  if (in.has_frequency_penalty()) out.frequency_penalty = in.frequency_penalty();
  if (in.has_repetition_penalty()) out.repetition_penalty = in.repetition_penalty();
  if (in.has_seed()) out.seed = in.seed();
  out.logit_bias.assign(in.logit_bias().begin(), in.logit_bias().end());
  std::sort(out.logit_bias.begin(), out.logit_bias.end());  // a map has no order of its own
  out.stop.assign(in.stop().begin(), in.stop().end());
  if (in.has_n()) out.n = in.n();
  if (in.has_top_logprobs()) out.top_logprobs = in.top_logprobs();
  out.ignore_eos = in.ignore_eos();
  out.echo = in.echo();
  return out;
}

void append_json_string(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20) {
      out.append("\\u00").append({kHex[byte >> 4], kHex[byte & 15]});
    } else {
      out += c;
    }
  }
  out += '"';
}

/// What stands between the braces of a JSON object, as it stands there: the order of members
/// matters to a model. Empty for an empty object.
Result<std::string_view> json_members(const std::string& object, const std::string& field) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = object.find_first_not_of(kSpace);
  pb::Struct parsed;
  if (first == std::string::npos || object[first] != '{' ||
      !pb::util::JsonStringToMessage(object, &parsed).ok()) {
    return invalid_argument("grpc", field, " is no JSON object");
  }
  for (const char* name : {"role", "content"}) {
    if (parsed.fields().contains(name)) {
      return invalid_argument("grpc", field, " holds \"", name,
                              "\", which is a field of the message");
    }
  }
  if (parsed.fields().empty()) return std::string_view();
  const size_t last = object.find_last_not_of(kSpace);
  return std::string_view(object).substr(first + 1, last - first - 1);
}

Status append_json_message(const v1::ChatMessage& message, int index, std::string& out) {
  out += "{\"role\":";
  append_json_string(message.role(), out);
  if (message.has_content()) {
    out += ",\"content\":";
    append_json_string(message.content(), out);
  }
  if (!message.extra_json().empty()) {
    MKM_ASSIGN_OR_RETURN(
        const std::string_view members,
        json_members(message.extra_json(), absl::StrCat("messages[", index, "].extra_json")));
    if (!members.empty()) out.append(",").append(members);
  }
  out += '}';
  return absl::OkStatus();
}

}  // namespace

std::optional<std::chrono::steady_clock::time_point> steady_deadline(gpr_timespec deadline) {
  constexpr int64_t kYear = 366 * 24 * 3600;
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  if (left.tv_sec > kYear) return std::nullopt;
  return std::chrono::steady_clock::now() + std::chrono::seconds(std::max(left.tv_sec, -kYear)) +
         std::chrono::nanoseconds(left.tv_nsec);
}

Result<CompletionRequest> decode(const v1::GenerateRequest& request) {
  CompletionRequest out;
  switch (request.prompt_case()) {
    case v1::GenerateRequest::kText:
      out.prompts.emplace_back(request.text());
      break;
    case v1::GenerateRequest::kTokenIds:
      out.prompts.emplace_back(
          std::vector<int64_t>(request.token_ids().ids().begin(), request.token_ids().ids().end()));
      break;
    case v1::GenerateRequest::PROMPT_NOT_SET:
      return invalid_argument("grpc", "prompt: neither text nor token_ids is set");
  }
  out.add_special = !request.has_add_special() || request.add_special();
  out.options = decode_options(request.model(), request.options());
  return out;
}

Result<ChatRequest> decode(const v1::ChatRequest& request) {
  if (request.options().echo())
    return invalid_argument("grpc", "options.echo: Chat has no prompt to echo");
  ChatRequest out;
  out.messages_json = "[";
  for (int i = 0; i < request.messages_size(); ++i) {
    if (i > 0) out.messages_json += ',';
    MKM_RETURN_IF_ERROR(append_json_message(request.messages(i), i, out.messages_json));
  }
  out.messages_json += ']';
  out.tools_json = request.tools_json();
  if (request.has_template_kwargs() &&
      !pb::util::MessageToJsonString(request.template_kwargs(), &out.template_kwargs_json).ok()) {
    return invalid_argument("grpc",
                            "template_kwargs: a value in it has no type, or is no number of JSON");
  }
  out.add_generation_prompt =
      !request.has_add_generation_prompt() || request.add_generation_prompt();
  out.options = decode_options(request.model(), request.options());
  return out;
}

}  // namespace mokume
