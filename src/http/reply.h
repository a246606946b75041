// A whole HTTP response, before it has a socket.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace mokume {

struct Reply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  ///< further ones
};

/// The error object of OpenAI's API for `status`, as JSON text: {"error": {message, type, param,
/// code}}.
std::string error_body(const Status& status);

/// The response for a call that failed with `status`: 400, 404, 429, 500, 503 or 504.
Reply error_reply(const Status& status);

/// An error that HTTP itself knows (405, 413, 431, ...).
Reply http_error_reply(int http_status, std::string_view message);

/// "Not Found" for 404.
std::string_view reason_phrase(int http_status);

}  // namespace mokume
