// GPT-2's alphabet: every byte as one printable character, so that vocabularies are plain text
// files.
//
// A printable byte of Latin-1 (! to ~, U+00A1 to U+00AC, U+00AE to U+00FF) stands for itself; the
// other 68 are U+0100, U+0101, ... in order of the byte.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mokume {

/// Bytes in the alphabet, as UTF-8.
std::string bytes_to_alphabet(std::string_view bytes);

/// The bytes that `text` (UTF-8) stands for; empty when one of its characters is not of the
/// alphabet.
std::optional<std::string> alphabet_to_bytes(std::string_view text);

}  // namespace mokume
