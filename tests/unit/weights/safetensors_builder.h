// Writes small safetensors files for tests, right ones and wrong ones; shares no code with the
// reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace mokume::testing {

/// `header` behind its size, then `data_bytes` bytes that count up from 1.
inline std::vector<std::byte> safetensors(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> file(8 + header.size() + data_bytes);
  const uint64_t size = header.size();
  std::memcpy(file.data(), &size, 8);
  std::memcpy(file.data() + 8, header.data(), header.size());
  for (size_t i = 0; i < data_bytes; ++i) {
    file[8 + header.size() + i] = static_cast<std::byte>(i + 1);
  }
  return file;
}

/// {"NAME":{"dtype":"F32","shape":[1],"data_offsets":[BEGIN,BEGIN+4]}
inline std::string f32_entry(const std::string& name, uint64_t begin) {
  return "\"" + name + "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(begin + 4) + "]}";
}

}  // namespace mokume::testing
