#include "base/utf8.h"

#include <cstdint>
#include <cstring>

namespace mokume {
namespace {

/// Length that the lead byte promises and the range of the second byte (Unicode, table 3-7); length
/// 0 when the byte begins no character.
struct Lead {
  size_t length;
  unsigned char low, high;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// How many bytes at the front are ASCII, counted by eights.
size_t ascii_run(std::string_view text) {
  size_t run = 0;
  for (; run + 8 <= text.size(); run += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + run, sizeof word);
    if ((word & 0x8080808080808080u) != 0) break;
  }
  return run;
}

/// Offset of the first sequence that is no whole character, or the size.
size_t valid_run(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    at += ascii_run(text.substr(at));
    if (at == text.size()) break;
    const Utf8Prefix prefix = utf8_prefix(text.substr(at));
    if (prefix.kind != Utf8Prefix::Kind::kCharacter) break;
    at += prefix.length;
  }
  return at;
}

/// Appends `text` to `out`, ill-formed sequences as U+FFFD; returns the length of an unfinished
/// tail.
size_t append_decided(std::string_view text, std::string& out) {
  while (true) {
    const size_t valid = valid_run(text);
    out.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return 0;
    const Utf8Prefix prefix = utf8_prefix(text);
    if (prefix.kind == Utf8Prefix::Kind::kIncomplete) return prefix.length;
    out.append(kReplacementCharacter);
    text.remove_prefix(prefix.length);
  }
}

}  // namespace

Utf8Prefix utf8_prefix(std::string_view text) {
  using Kind = Utf8Prefix::Kind;
  const Lead lead = lead_of(static_cast<unsigned char>(text.front()));
  if (lead.length == 0) return {Kind::kInvalid, 1};
  for (size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {Kind::kIncomplete, i};
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool continues = i == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
    if (!continues) return {Kind::kInvalid, i};
  }
  return {Kind::kCharacter, lead.length};
}

std::optional<size_t> find_invalid_utf8(std::string_view text) {
  const size_t valid = valid_run(text);
  return valid == text.size() ? std::nullopt : std::optional(valid);
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  if (append_decided(text, out) > 0) out.append(kReplacementCharacter);
  return out;
}

void drain_utf8(std::string& pending, std::string& out) {
  const size_t tail = append_decided(pending, out);
  pending.erase(0, pending.size() - tail);
}

}  // namespace mokume
