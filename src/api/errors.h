// What a front end needs to know of an error beside its status code: OpenAI's `code` and `param`.
//
// They travel as payloads of the Status, so that every function between here and the wire just
// returns it.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace mokume {

/// OpenAI's codes that mokume uses.
inline constexpr std::string_view kCodeModelNotFound = "model_not_found";
inline constexpr std::string_view kCodeContextLength = "context_length_exceeded";

/// `status` with OpenAI's `code` and `param` attached where they are not empty.
Status with_details(Status status, std::string_view code, std::string_view param);

/// InvalidArgument about the field `param`.
template <typename... Args>
Status field_error(std::string_view param, const Args&... args) {
  return with_details(invalid_argument("api", args...), "", param);
}

/// "" when there is none.
std::string error_code(const Status& status);
std::string error_param(const Status& status);

/// The message as a client should read it: without the leading "[room] ".
std::string_view client_message(const Status& status);

}  // namespace mokume
