#include "base/log.h"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <chrono>
#include <ctime>
#include <memory>
#include <optional>

#include "absl/strings/str_format.h"
#include "base/text.h"
#include "base/utf8.h"

namespace mokume {
namespace {

using spdlog::level::level_enum;

struct LevelName {
  std::string_view name;
  level_enum level;
};
constexpr std::array<LevelName, 7> kLevels = {{{"trace", level_enum::trace},
                                               {"debug", level_enum::debug},
                                               {"info", level_enum::info},
                                               {"warn", level_enum::warn},
                                               {"error", level_enum::err},
                                               {"critical", level_enum::critical},
                                               {"off", level_enum::off}}};

std::string_view level_name(level_enum level) {
  for (const LevelName& known : kLevels) {
    if (known.level == level) return known.name;
  }
  return "off";
}

/// Empty when the name is none that a configuration may use.
std::optional<level_enum> find_level(std::string_view name) {
  for (const LevelName& known : kLevels) {
    if (known.name == name && known.level != level_enum::critical) return known.level;
  }
  return std::nullopt;
}

std::string utc_time(std::chrono::system_clock::time_point time) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(since).count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                         parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                         since.count() - seconds * 1000);
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(bool json) : json_(json) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view text(message.payload.data(), message.payload.size());
    const std::string_view level = level_name(message.level);
    std::string line;
    if (json_) {
      line = absl::StrFormat(R"({"time":"%s","level":"%s","message":")", utc_time(message.time),
                             level);
      append_json_escaped(text, line);
      line += "\"}\n";
    } else {
      line = absl::StrFormat("%s %-5s ", utc_time(message.time), level);
      append_text(text, line);
      line += '\n';
    }
    out.append(line.data(), line.data() + line.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(json_);
  }

 private:
  static void append_text(std::string_view text, std::string& out) {
    for (const char c : text) {
      if (is_control(c)) {
        absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(c));
      } else {
        out += c;
      }
    }
  }

  bool json_;
};

std::shared_ptr<spdlog::logger> make_logger() {
  auto logger =
      std::make_shared<spdlog::logger>("mokume", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<LineFormatter>(false));
  logger->flush_on(level_enum::trace);
  return logger;
}

}  // namespace

spdlog::logger& log() {
  // Never destroyed: threads may log while the program exits.
  static auto* const logger = new std::shared_ptr<spdlog::logger>(make_logger());
  return **logger;
}

Status init_logging(const std::string& level, const std::string& format) {
  const std::optional<level_enum> known = find_level(level);
  if (!known) {
    return invalid_argument("log", "the level is ", quote(level),
                            "; use trace, debug, info, warn, error or off");
  }
  if (format != "text" && format != "json") {
    return invalid_argument("log", "the format is ", quote(format), "; use text or json");
  }
  log().set_formatter(std::make_unique<LineFormatter>(format == "json"));
  log().set_level(*known);
  return absl::OkStatus();
}

void append_json_escaped(std::string_view text, std::string& out) {
  for (const char c : replace_invalid_utf8(text)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (is_control(c)) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
}

}  // namespace mokume
