// What both front ends ask for and get, free of any wire format.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "scheduler/request.h"

namespace mokume {

/// The options of a generation as a client sent them, not yet validated. Names follow OpenAI; those
/// OpenAI does not have follow vLLM (top_k, min_p, repetition_penalty, ignore_eos).
struct GenerationOptions {
  std::string model;
  std::optional<int64_t> max_tokens;  ///< max_completion_tokens is the same field
  std::optional<double> temperature, top_p, min_p;
  std::optional<int64_t> top_k;
  std::optional<double> presence_penalty, frequency_penalty, repetition_penalty;
  std::optional<uint64_t> seed;  ///< absent: random
  std::vector<std::pair<int64_t, double>> logit_bias;
  std::vector<std::string> stop;        ///< at most 16, none empty
  std::optional<int64_t> n;             ///< 1..16
  std::optional<int64_t> top_logprobs;  ///< present: logprobs wanted; 0..20
  bool ignore_eos = false;
  bool echo = false;  ///< completions only: the prompt's text comes first
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

/// One prompt of a completion: text or ids.
using Prompt = std::variant<std::string, std::vector<int64_t>>;

struct CompletionRequest {
  std::vector<Prompt> prompts;  ///< at least one; choice index = prompt * n + i
  bool add_special = true;
  GenerationOptions options;
};

/// The messages (an array) and tools go to the model's template as the client sent them, as JSON
/// text; api parses and checks them.
struct ChatRequest {
  std::string messages_json;
  std::string tools_json;            ///< "" or an array
  std::string template_kwargs_json;  ///< "" or an object: more variables for the template
  bool add_generation_prompt = true;
  GenerationOptions options;
};

struct TextLogprob {
  TokenId id = 0;
  std::string bytes;  ///< of this token alone, perhaps no whole character
  float logprob = 0;
  std::vector<TextLogprob> top;
};

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
};

/// A piece of one choice's answer. `text` is valid UTF-8 and free of stop strings.
struct TextEvent {
  int choice = 0;
  std::string text;
  std::vector<TokenId> ids;
  std::vector<TextLogprob> logprobs;
  std::optional<FinishReason> finish;  ///< last event of this choice
  Status status;                       ///< why, where finish is kError, kDeadline or kCancelled
  bool all_finished = false;           ///< last event of the whole call; `usage` is final
  Usage usage;
};

/// Implemented by the front ends; called on the engine's thread, so it only queues. False: the
/// reader has gone or is too slow, give the call up.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual bool push(TextEvent event) = 0;
};

/// A running call. Destroying it does not cancel it.
class Call {
 public:
  virtual ~Call() = default;
  virtual void cancel() = 0;
  virtual Usage prompt_usage() const = 0;
};

struct ModelInfo {
  std::string name;
  std::string architecture;
  int64_t created = 0;  ///< Unix seconds
  int context_length = 0;
  int vocab_size = 0;
  bool has_tokenizer = false;
  bool has_chat_template = false;
};

}  // namespace mokume
