// The input is a template, a zero byte, and the JSON of its variables; without a zero byte, a
// template alone that runs on a small chat.
#include <cstdint>
#include <string_view>

#include "tokenizer/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  const auto parsed = mokume::ChatTemplate::parse(input.substr(0, zero));
  if (!parsed.ok()) return 0;
  std::string_view variables =
      R"({"messages": [{"role": "user", "content": "a é b"}], "n": 3, "tools": null})";
  if (zero != std::string_view::npos) variables = input.substr(zero + 1);
  const auto context = nlohmann::ordered_json::parse(variables, nullptr, false);
  if (context.is_discarded()) return 0;
  mokume::TemplateLimits limits;
  limits.max_steps = 20'000;
  limits.max_output_bytes = 1u << 16;
  limits.max_value_bytes = 1u << 20;
  limits.clock = [] { return int64_t{1'765'432'100}; };
  (void)(*parsed)->render(context, limits);
  return 0;
}
