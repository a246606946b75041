#include "api/errors.h"

#include "absl/strings/cord.h"

namespace mokume {
namespace {

// The type URLs of the payloads.
constexpr char kCodeUrl[] = "mokume.code";
constexpr char kParamUrl[] = "mokume.param";

std::string payload(const Status& status, const char* url) {
  const auto value = status.GetPayload(url);
  return value ? std::string(*value) : std::string();
}

}  // namespace

Status with_details(Status status, std::string_view code, std::string_view param) {
  if (!code.empty()) status.SetPayload(kCodeUrl, absl::Cord(std::string(code)));
  if (!param.empty()) status.SetPayload(kParamUrl, absl::Cord(std::string(param)));
  return status;
}

std::string error_code(const Status& status) { return payload(status, kCodeUrl); }
std::string error_param(const Status& status) { return payload(status, kParamUrl); }

std::string_view client_message(const Status& status) {
  const std::string_view message(status.message().data(), status.message().size());
  if (!message.starts_with('[')) return message;
  const size_t end = message.find("] ");
  return end == std::string_view::npos ? message : message.substr(end + 2);
}

}  // namespace mokume
