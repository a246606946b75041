#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "grpc/wire.h"

namespace mokume {
namespace {

constexpr std::string_view kJsonSpace = " \t\r\n";

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
/// matters to a model. Empty when `text` is anything but one object: the braces alone are looked
/// at, which suffices to keep what is inside from ending the message that it goes into. That it is
/// JSON, and how deep and large it may be, api checks.
std::optional<std::string_view> object_members(std::string_view text) {
  const size_t first = text.find_first_not_of(kJsonSpace);
  if (first == std::string_view::npos || text[first] != '{') return std::nullopt;
  const size_t last = text.find_last_not_of(kJsonSpace);
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = first; i <= last; ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      if (i != last || c != '}') return std::nullopt;
      return text.substr(first + 1, last - first - 1);
    }
  }
  return std::nullopt;
}

Status append_json_message(const v1::ChatMessage& message, int index, std::string& out) {
  out += "{\"role\":";
  append_json_string(message.role(), out);
  if (message.has_content()) {
    out += ",\"content\":";
    append_json_string(message.content(), out);
  }
  if (!message.extra_json().empty()) {
    const std::optional<std::string_view> members = object_members(message.extra_json());
    if (!members)
      return invalid_argument("grpc", "messages[", index, "].extra_json is no JSON object");
    if (members->find_first_not_of(kJsonSpace) != std::string_view::npos)
      out.append(",").append(*members);
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
  if (request.has_template_kwargs() && !google::protobuf::util::MessageToJsonString(
                                            request.template_kwargs(), &out.template_kwargs_json)
                                            .ok()) {
    return invalid_argument("grpc", "template_kwargs is nested too deeply");
  }
  out.add_generation_prompt =
      !request.has_add_generation_prompt() || request.add_generation_prompt();
  out.options = decode_options(request.model(), request.options());
  return out;
}

}  // namespace mokume
