// A tokenizer.json of arbitrary bytes: read, made, run on a little text, written and read again.
#include <cstdint>
#include <cstdlib>

#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/hf_tokenizer_config.h"
#include "tokenizer/hf_tokenizer_writer.h"

namespace {

constexpr std::string_view kText =
    "it's <|end|> \u00E9e\u0301 \u6F22 12\r\n  <u>aaaaaaaaaaaaaaaaaaaaaaaaaaaa";

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using mokume::Tokenizer;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)mokume::parse_tokenizer_config(text, "fuzz");
  (void)mokume::parse_eos_ids(text, "fuzz");
  auto spec = mokume::parse_tokenizer_json(text, "fuzz");
  if (!spec.ok()) return 0;
  const auto tokenizer = Tokenizer::create(*spec);
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->encode(kText, {.add_special = true, .parse_special = true});
  const auto files = mokume::write_hf_tokenizer(*spec, "");
  if (!files.ok()) return 0;
  auto back = mokume::parse_tokenizer_json(files->tokenizer_json, "written");
  require(back.ok());
  const auto again = Tokenizer::create(*std::move(back));
  require(again.ok());
  const auto ids_again = (*again)->encode(kText, {.add_special = true, .parse_special = true});
  require(ids.ok() == ids_again.ok());
  if (ids.ok()) require(*ids == *ids_again);
  return 0;
}
