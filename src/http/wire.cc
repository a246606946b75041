#include "http/wire.h"

#include "absl/strings/str_format.h"

namespace mokume {
namespace {

std::string status_line(int status) {
  return str_cat("HTTP/1.1 ", status, " ", reason_phrase(status),
                 "\r\nServer: mokume\r\nConnection: ");
}

}  // namespace

std::string format_reply(const Reply& reply, bool keep_alive, bool head_only) {
  std::string out = status_line(reply.status);
  out += keep_alive ? "keep-alive\r\n" : "close\r\n";
  for (const auto& [name, value] : reply.headers) out += str_cat(name, ": ", value, "\r\n");
  if (reply.status != 204) {
    out += str_cat("Content-Type: ", reply.content_type, "\r\nContent-Length: ", reply.body.size(),
                   "\r\n");
  }
  out += "\r\n";
  if (!head_only) out += reply.body;
  return out;
}

std::string format_stream_head(bool keep_alive, bool chunked) {
  std::string out = status_line(200);
  out += keep_alive ? "keep-alive\r\n" : "close\r\n";
  out +=
      "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: "
      "no-cache\r\nX-Accel-Buffering: no\r\n";
  if (chunked) out += "Transfer-Encoding: chunked\r\n";
  out += "\r\n";
  return out;
}

std::string format_chunk(std::string_view data, bool chunked) {
  if (!chunked) return std::string(data);
  return str_cat(absl::StrFormat("%x", data.size()), "\r\n", data, "\r\n");
}

}  // namespace mokume
