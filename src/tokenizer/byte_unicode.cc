#include "tokenizer/byte_unicode.h"

#include <array>
#include <cstdint>

namespace mokume {
namespace {

constexpr uint16_t kFirstStandIn = 0x100;
constexpr size_t kStandIns = 68;

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// Character of each byte, and byte of each character below kFirstStandIn + kStandIns (-1: none).
struct Alphabet {
  std::array<uint16_t, 256> character{};
  std::array<int16_t, kFirstStandIn + kStandIns> byte{};

  constexpr Alphabet() {
    byte.fill(-1);
    uint16_t next = kFirstStandIn;
    for (unsigned b = 0; b < 256; ++b) {
      character[b] = stands_for_itself(b) ? static_cast<uint16_t>(b) : next++;
      byte[character[b]] = static_cast<int16_t>(b);
    }
  }
};

constexpr Alphabet kAlphabet;

}  // namespace

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (unsigned char byte : bytes) {
    const unsigned c = kAlphabet.character[byte];
    if (c >= 0x80) text.push_back(static_cast<char>(0xC0 | c >> 6));
    text.push_back(static_cast<char>(c < 0x80 ? c : 0x80 | (c & 0x3F)));
  }
  return text;
}

std::optional<std::string> alphabet_to_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80) {
      const bool pair = (c & 0xE0) == 0xC0 && i + 1 < text.size() &&
                        (static_cast<unsigned char>(text[i + 1]) & 0xC0) == 0x80;
      if (!pair) return std::nullopt;
      c = (c & 0x1F) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F);
      if (c < 0x80) return std::nullopt;
    }
    if (c >= kAlphabet.byte.size() || kAlphabet.byte[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.byte[c]));
  }
  return bytes;
}

}  // namespace mokume
