// The bytes of an HTTP/1.1 response.
#pragma once

#include <string>
#include <string_view>

#include "http/reply.h"

namespace mokume {

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// Head and body; without the body for HEAD, but with its length.
std::string format_reply(const Reply& reply, bool keep_alive, bool head_only);

/// The head of a stream of server-sent events; `chunked` unless the client speaks HTTP/1.0.
std::string format_stream_head(bool keep_alive, bool chunked);

/// `data` (not empty) as one chunk, or as it is.
std::string format_chunk(std::string_view data, bool chunked);

}  // namespace mokume
