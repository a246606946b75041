#include "http/router.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <random>
#include <utility>

#include "api/errors.h"
#include "http/decode.h"
#include "http/target.h"
#include "tokenizer/json.h"

namespace mokume {
namespace {

constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr std::string_view kGetPaths[] = {"/v1/models", "/health", "/health/live", "/health/ready",
                                          "/metrics"};
constexpr std::string_view kPostPaths[] = {"/v1/chat/completions", "/v1/completions", "/tokenize",
                                           "/detokenize"};

bool is_get_path(std::string_view path) {
  return std::ranges::find(kGetPaths, path) != std::end(kGetPaths) ||
         (path.starts_with(kModelPrefix) && path.size() > kModelPrefix.size());
}

bool is_post_path(std::string_view path) {
  return std::ranges::find(kPostPaths, path) != std::end(kPostPaths);
}

/// Unique over restarts as well.
std::string fresh_id(const char* prefix) {
  static const uint64_t kStart = (uint64_t{std::random_device{}()} << 32) ^ std::random_device{}();
  static std::atomic<uint64_t> count = 0;
  char digits[40];
  std::snprintf(digits, sizeof digits, "%016llx%08llx", static_cast<unsigned long long>(kStart),
                static_cast<unsigned long long>(++count));
  return str_cat(prefix, digits);
}

Json model_json(const ModelInfo& info) {
  Json json = Json::object();
  json["id"] = info.name;
  json["object"] = "model";
  json["created"] = info.created;
  json["owned_by"] = "mokume";
  json["max_model_len"] = info.context_length;  // vLLM's name
  return json;
}

Reply json_reply(const Json& json) {
  Reply reply;
  reply.body = dump_json(json);
  return reply;
}

Reply method_reply(int status, const char* allow) {
  Reply reply =
      status == 204 ? Reply{} : http_error_reply(status, str_cat("this path takes only ", allow));
  reply.status = status;
  reply.headers.emplace_back("Allow", allow);
  return reply;
}

}  // namespace

Router::Outcome Router::handle(const HttpRequest& request, std::shared_ptr<EventSink> sink) {
  const std::optional<std::string> path = target_path(request.target);
  if (!path) return http_error_reply(400, "the request target is not a path");
  const bool takes_get = is_get_path(*path);
  if (!takes_get && !is_post_path(*path)) {
    return error_reply(not_found("http", "there is no ", path->substr(0, 200)));
  }
  const char* allow = takes_get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
  if (request.method == "OPTIONS") return method_reply(204, allow);
  if (takes_get && (request.method == "GET" || request.method == "HEAD")) return get(*path);
  if (!takes_get && request.method == "POST") return post(*path, request.body, std::move(sink));
  return method_reply(405, allow);
}

Router::Outcome Router::get(std::string_view path) const {
  if (path == "/v1/models") return models();
  if (path == "/health" || path == "/health/live") return health(true);
  if (path == "/health/ready") return health(service_.ready());
  if (path == "/metrics") return metrics();
  return model(std::string(path.substr(kModelPrefix.size())));
}

Router::Outcome Router::post(std::string_view path, const std::string& body,
                             std::shared_ptr<EventSink> sink) {
  if (path == "/v1/chat/completions") return chat(body, std::move(sink));
  if (path == "/v1/completions") return complete(body, std::move(sink));
  return path == "/tokenize" ? tokenize(body) : detokenize(body);
}

AnswerInfo Router::answer_info(const char* prefix, const GenerationOptions& options, size_t prompts,
                               const AnswerOptions& answer) const {
  AnswerInfo info;
  info.id = fresh_id(prefix);
  info.model = options.model;
  info.token_ids = answer.return_token_ids;
  if (const std::vector<ModelInfo> all = service_.models(); !all.empty()) {
    if (info.model.empty()) info.model = all[0].name;
    if (!all[0].has_tokenizer) info.token_ids = true;  // there is nothing else to show
  }
  info.created = std::chrono::duration_cast<std::chrono::seconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  info.include_usage = answer.include_usage;
  info.logprobs = options.top_logprobs.has_value();
  // The service has accepted both numbers, so the product is small.
  info.choices = static_cast<int>(options.n.value_or(1) * static_cast<int64_t>(prompts));
  return info;
}

Router::Outcome Router::chat(const std::string& body, std::shared_ptr<EventSink> sink) {
  const Result<ChatBody> decoded = decode_chat(body);
  if (!decoded.ok()) return error_reply(decoded.status());
  Result<std::shared_ptr<Call>> call = service_.chat(decoded->request, std::move(sink));
  if (!call.ok()) return error_reply(call.status());
  AnswerInfo info = answer_info("chatcmpl-", decoded->request.options, 1, decoded->answer);
  return Started{*std::move(call), make_chat_answer(std::move(info)), decoded->answer.stream};
}

Router::Outcome Router::complete(const std::string& body, std::shared_ptr<EventSink> sink) {
  const Result<CompletionBody> decoded = decode_completion(body);
  if (!decoded.ok()) return error_reply(decoded.status());
  Result<std::shared_ptr<Call>> call = service_.complete(decoded->request, std::move(sink));
  if (!call.ok()) return error_reply(call.status());
  AnswerInfo info = answer_info("cmpl-", decoded->request.options, decoded->request.prompts.size(),
                                decoded->answer);
  return Started{*std::move(call), make_completion_answer(std::move(info)), decoded->answer.stream};
}

Reply Router::tokenize(const std::string& body) const {
  const Result<TokenizeBody> decoded = decode_tokenize(body);
  if (!decoded.ok()) return error_reply(decoded.status());
  const auto ids = service_.tokenize(decoded->text, decoded->add_special, decoded->parse_special);
  if (!ids.ok()) return error_reply(ids.status());
  Json json = Json::object();
  json["tokens"] = *ids;
  json["count"] = ids->size();
  return json_reply(json);
}

Reply Router::detokenize(const std::string& body) const {
  const Result<std::vector<int64_t>> ids = decode_detokenize(body);
  if (!ids.ok()) return error_reply(ids.status());
  const Result<std::string> text = service_.detokenize(*ids);
  if (!text.ok()) return error_reply(text.status());
  Json json = Json::object();
  json["content"] = *text;
  json["prompt"] = *text;
  return json_reply(json);
}

Reply Router::models() const {
  Json json = Json::object();
  json["object"] = "list";
  json["data"] = Json::array();
  for (const ModelInfo& info : service_.models()) json["data"].push_back(model_json(info));
  return json_reply(json);
}

Reply Router::model(const std::string& name) const {
  std::string available;
  for (const ModelInfo& info : service_.models()) {
    if (info.name == name) return json_reply(model_json(info));
    available += (available.empty() ? "" : ", ") + info.name;
  }
  return error_reply(with_details(not_found("http", "The model `", name.substr(0, 200),
                                            "` does not exist. Available: ", available),
                                  kCodeModelNotFound, "model"));
}

Reply Router::health(bool ready) const {
  if (!ready)
    return error_reply(
        unavailable("http", "not ready: the model is loading, or the server is stopping"));
  return json_reply(Json{{"status", "ok"}});
}

Reply Router::metrics() const {
  Reply reply;
  reply.body = metrics_.render(service_.stats());
  reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return reply;
}

}  // namespace mokume
