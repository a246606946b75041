#include "http/decode_options.h"

#include <charconv>
#include <utility>

#include "api/errors.h"

namespace mokume {
namespace {

/// Fields of OpenAI, vLLM and llama.cpp that change the answer and that mokume does not have. They
/// pass where they ask for nothing: null, false, 0, "" or an empty array or object.
constexpr const char* kUnsupported[] = {
    "suffix",
    "audio",
    "functions",
    "function_call",
    "web_search_options",
    "use_beam_search",
    "min_tokens",
    "stop_token_ids",
    "bad_words",
    "prompt_logprobs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "grammar",
    "json_schema",
    "chat_template",
    "prompt_embeds",
    "truncate_prompt_tokens",
    "mirostat",
    "dynatemp_range",
    "xtc_probability",
    "dry_multiplier",
    "continue_final_message",
    "samplers",
};

bool asks_for_nothing(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.empty();
}

void decode_max_tokens(Fields& fields, GenerationOptions& options) {
  std::optional<int64_t> completion;
  fields.read("max_tokens", options.max_tokens);
  fields.read("max_completion_tokens", completion);
  if (!completion) return;
  if (options.max_tokens && *options.max_tokens != *completion) {
    fields.fail(field_error("max_tokens", "max_tokens is ", *options.max_tokens,
                            " and max_completion_tokens ", *completion,
                            ": they are the same setting, give one of them"));
  }
  options.max_tokens = completion;
}

void decode_stop(Fields& fields, std::vector<std::string>& stop) {
  const Json* value = fields.find("stop");
  if (!value) return;
  if (value->is_string()) {
    stop.push_back(value->get<std::string>());
    return;
  }
  const auto wrong = [&] {
    fields.fail(field_error("stop", "stop must be a string or an array of strings"));
  };
  if (!value->is_array()) return wrong();
  for (const Json& item : *value) {
    if (!item.is_string()) return wrong();
    stop.push_back(item.get<std::string>());
  }
}

void decode_logit_bias(Fields& fields, GenerationOptions& options) {
  const Json* value = fields.find("logit_bias");
  if (!value) return;
  if (!value->is_object()) {
    return fields.fail(field_error("logit_bias",
                                   "logit_bias must be an object from token ids to numbers, it is ",
                                   describe_type(*value)));
  }
  for (const auto& [key, bias] : value->items()) {
    int64_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) {
      return fields.fail(field_error("logit_bias", "logit_bias has the key \"", key.substr(0, 80),
                                     "\", keys must be token ids"));
    }
    if (!bias.is_number()) {
      return fields.fail(field_error("logit_bias", "logit_bias[\"", key,
                                     "\"] must be a number, it is ", describe_type(bias)));
    }
    options.logit_bias.emplace_back(id, bias.get<double>());
  }
}

void refuse_best_of(Fields& fields) {
  std::optional<int64_t> best_of, n;
  fields.read("best_of", best_of);
  fields.read("n", n);
  if (best_of && *best_of != 1 && *best_of != n.value_or(1)) {
    fields.fail(field_error("best_of", "best_of is ", *best_of,
                            ", it must be 1 or equal to n: answers are not ranked"));
  }
}

void refuse_response_format(Fields& fields) {
  const Json* format = fields.find("response_format");
  if (!format) return;
  const auto type = format->is_object() ? format->find("type") : format->end();
  if (!format->is_object() || type == format->end() || *type != "text") {
    fields.fail(
        field_error("response_format",
                    "response_format must be {\"type\": \"text\"}, others are not supported"));
  }
}

void refuse_modalities(Fields& fields) {
  const Json* modalities = fields.find("modalities");
  if (!modalities) return;
  if (!modalities->is_array())
    return fields.fail(field_error("modalities", "modalities must be an array"));
  for (const Json& modality : *modalities) {
    if (modality != "text") {
      return fields.fail(
          field_error("modalities", "modalities must be [\"text\"], others are not supported"));
    }
  }
}

}  // namespace

void decode_options(Fields& fields, GenerationOptions& options) {
  fields.read("model", options.model);
  decode_max_tokens(fields, options);
  fields.read("temperature", options.temperature);
  fields.read("top_p", options.top_p);
  fields.read("min_p", options.min_p);
  fields.read("top_k", options.top_k);
  fields.read("presence_penalty", options.presence_penalty);
  fields.read("frequency_penalty", options.frequency_penalty);
  fields.read("repeat_penalty", options.repetition_penalty);  // llama.cpp's name
  fields.read("repetition_penalty", options.repetition_penalty);
  fields.read_seed("seed", options.seed);
  fields.read("n", options.n);
  fields.read("ignore_eos", options.ignore_eos);
  decode_stop(fields, options.stop);
  decode_logit_bias(fields, options);
}

void decode_answer_options(Fields& fields, AnswerOptions& answer) {
  fields.read("stream", answer.stream);
  fields.read("return_token_ids", answer.return_token_ids);
  const Json* options = fields.find("stream_options");
  if (!options) return;
  if (!options->is_object()) {
    return fields.fail(field_error("stream_options", "stream_options must be an object"));
  }
  if (!answer.stream) {
    return fields.fail(
        field_error("stream_options", "stream_options is only for requests with stream: true"));
  }
  Fields inner(*options);
  inner.read("include_usage", answer.include_usage);
  fields.fail(inner.status());
}

void refuse_unsupported(Fields& fields) {
  for (const char* name : kUnsupported) {
    const Json* value = fields.find(name);
    if (value && !asks_for_nothing(*value))
      fields.fail(field_error(name, name, " is not supported"));
  }
  refuse_best_of(fields);
  refuse_response_format(fields);
  refuse_modalities(fields);
}

}  // namespace mokume
