#include "api/validate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "api/errors.h"
#include "base/utf8.h"

namespace mokume {
namespace {

/// Below this, dividing logits by the temperature would overflow a float: it is taken as 0, argmax.
constexpr double kLeastTemperature = 1e-4;

struct Range {
  double low, high;
  bool low_included = true;
};

Status check_number(std::string_view field, double value, Range range) {
  const bool above_low = range.low_included ? value >= range.low : value > range.low;
  if (above_low && value <= range.high) return {};  // false for NaN
  return field_error(field, field, " is ", value, ", it must be ",
                     range.low_included ? "between " : "greater than ", range.low,
                     range.low_included ? " and " : " and at most ", range.high);
}

Status check_integer(std::string_view field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return {};
  return field_error(field, field, " is ", value, ", it must be between ", low, " and ", high);
}

Status set_float(std::string_view field, const std::optional<double>& value, Range range,
                 float& target) {
  if (!value) return {};
  MKM_RETURN_IF_ERROR(check_number(field, *value, range));
  target = static_cast<float>(*value);
  return {};
}

Status set_int(std::string_view field, const std::optional<int64_t>& value, int64_t low,
               int64_t high, int& target) {
  if (!value) return {};
  MKM_RETURN_IF_ERROR(check_integer(field, *value, low, high));
  target = static_cast<int>(*value);
  return {};
}

Status set_logit_bias(const GenerationOptions& options, int vocab_size, SamplingParams& sampling) {
  if (options.logit_bias.size() > kMaxLogitBias) {
    return field_error("logit_bias", "logit_bias has ", options.logit_bias.size(),
                       " entries, at most ", kMaxLogitBias, " are allowed");
  }
  for (const auto& [id, bias] : options.logit_bias) {
    if (id < 0 || id >= vocab_size) {
      return field_error("logit_bias", "logit_bias names the token ", id,
                         ", ids lie between 0 and ", vocab_size - 1);
    }
    MKM_RETURN_IF_ERROR(check_number("logit_bias", bias, {-100, 100}));
    sampling.logit_bias.emplace_back(static_cast<TokenId>(id), static_cast<float>(bias));
  }
  return {};
}

Status check_stop(const std::vector<std::string>& stop) {
  if (stop.size() > kMaxStopStrings) {
    return field_error("stop", "stop has ", stop.size(), " strings, at most ", kMaxStopStrings,
                       " are allowed");
  }
  for (const std::string& text : stop) {
    if (text.empty()) return field_error("stop", "stop has an empty string; leave it out");
    if (text.size() > kMaxStopBytes) {
      return field_error("stop", "stop has a string of ", text.size(), " bytes, at most ",
                         kMaxStopBytes, " are allowed");
    }
    if (find_invalid_utf8(text)) return field_error("stop", "stop has a string that is not UTF-8");
  }
  return {};
}

Status set_sampling(const GenerationOptions& options, int vocab_size, SamplingParams& sampling) {
  MKM_RETURN_IF_ERROR(set_float("temperature", options.temperature, {0, 2}, sampling.temperature));
  if (sampling.temperature < kLeastTemperature) sampling.temperature = 0;
  MKM_RETURN_IF_ERROR(set_float("top_p", options.top_p, {0, 1, false}, sampling.top_p));
  sampling.top_p = std::max(sampling.top_p, std::numeric_limits<float>::min());
  MKM_RETURN_IF_ERROR(set_float("min_p", options.min_p, {0, 1}, sampling.min_p));
  MKM_RETURN_IF_ERROR(
      set_int("top_k", options.top_k, -1, std::numeric_limits<int32_t>::max(), sampling.top_k));
  sampling.top_k = std::min(sampling.top_k, vocab_size);
  MKM_RETURN_IF_ERROR(
      set_float("presence_penalty", options.presence_penalty, {-2, 2}, sampling.presence_penalty));
  MKM_RETURN_IF_ERROR(set_float("frequency_penalty", options.frequency_penalty, {-2, 2},
                                sampling.frequency_penalty));
  MKM_RETURN_IF_ERROR(set_float("repetition_penalty", options.repetition_penalty, {0.1, 10},
                                sampling.repetition_penalty));
  return set_logit_bias(options, vocab_size, sampling);
}

}  // namespace

Result<ValidOptions> validate_options(const GenerationOptions& options, int vocab_size) {
  ValidOptions valid;
  MKM_RETURN_IF_ERROR(set_sampling(options, vocab_size, valid.sampling));
  if (options.max_tokens) {
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
    MKM_RETURN_IF_ERROR(check_integer("max_tokens", *options.max_tokens, 1, kMost));
    valid.max_tokens = static_cast<int>(*options.max_tokens);
  }
  MKM_RETURN_IF_ERROR(set_int("n", options.n, 1, kMaxChoices, valid.n));
  MKM_RETURN_IF_ERROR(
      set_int("top_logprobs", options.top_logprobs, 0, kMaxTopLogprobs, valid.top_logprobs));
  MKM_RETURN_IF_ERROR(check_stop(options.stop));
  if (options.echo && options.top_logprobs) {
    return field_error(
        "echo", "echo together with logprobs is not supported: the prompt's tokens are not scored");
  }
  if (options.seed) {
    valid.sampling.seed = *options.seed;
    valid.has_seed = true;
  }
  return valid;
}

Result<std::vector<TokenId>> validate_ids(const std::vector<int64_t>& ids, int vocab_size,
                                          std::string_view param) {
  std::vector<TokenId> valid;
  valid.reserve(ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size) {
      return field_error(param, param, " has the token id ", ids[i], " (at index ", i,
                         "), ids lie between 0 and ", vocab_size - 1);
    }
    valid.push_back(static_cast<TokenId>(ids[i]));
  }
  return valid;
}

}  // namespace mokume
