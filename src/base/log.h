// The program's log: lines on stderr, as text or as JSON.
#pragma once

#include <spdlog/logger.h>

#include <string>

#include "base/status.h"

namespace mokume {

/// The one logger; info and text until init_logging() says otherwise. Thread-safe.
/// `log().info("serving {} at {}", name, address)`.
spdlog::logger& log();

/// `level`: trace, debug, info, warn, error, off. `format`: text (`2026-11-22T08:00:00.000Z info
/// message`) or json (one object a line with the strings time (RFC 3339, UTC), level and message).
/// May be called again. In both formats a message cannot start a new line or hold control
/// characters: they are escaped.
Status init_logging(const std::string& level, const std::string& format);

/// Appends `text` as the inside of a JSON string; malformed UTF-8 becomes U+FFFD.
void append_json_escaped(std::string_view text, std::string& out);

}  // namespace mokume
