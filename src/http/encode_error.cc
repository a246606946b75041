#include "api/errors.h"
#include "http/reply.h"
#include "tokenizer/json.h"

namespace mokume {
namespace {

/// What OpenAI's API says of a kind of error.
struct ErrorKind {
  int http_status;
  const char* type;
  const char* code;  ///< where the status brings none; null: none
};

ErrorKind kind_of(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return {400, "invalid_request_error", nullptr};
    case absl::StatusCode::kNotFound:
      return {404, "invalid_request_error", nullptr};
    case absl::StatusCode::kResourceExhausted:
      return {429, "rate_limit_error", "rate_limit_exceeded"};
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return {503, "server_error", "unavailable"};
    case absl::StatusCode::kDeadlineExceeded:
      return {504, "server_error", "timeout"};
    default:
      return {500, "server_error", nullptr};
  }
}

std::string body_of(std::string_view message, const char* type, const std::string& param,
                    const std::string& code) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  Json error = Json::object();
  error["message"] = message;
  error["type"] = type;
  error["param"] = text_or_null(param);
  error["code"] = text_or_null(code);
  return dump_json(Json{{"error", std::move(error)}});
}

}  // namespace

std::string error_body(const Status& status) {
  const ErrorKind kind = kind_of(status);
  std::string code = error_code(status);
  if (code.empty() && kind.code) code = kind.code;
  return body_of(client_message(status), kind.type, error_param(status), code);
}

Reply error_reply(const Status& status) {
  Reply reply;
  reply.status = kind_of(status).http_status;
  reply.body = error_body(status);
  if (reply.status == 429 || reply.status == 503) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

Reply http_error_reply(int http_status, std::string_view message) {
  Reply reply;
  reply.status = http_status;
  reply.body =
      body_of(message, http_status < 500 ? "invalid_request_error" : "server_error", "", "");
  return reply;
}

std::string_view reason_phrase(int http_status) {
  switch (http_status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Payload Too Large";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Error";
  }
}

}  // namespace mokume
