#include "api/service.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <utility>

#include "api/call_state.h"
#include "api/chat_prompt.h"
#include "api/errors.h"
#include "api/stop_matcher.h"
#include "api/text_sink.h"
#include "api/validate.h"

namespace mokume {
namespace {

/// A prompt ready for the engine, and what echo shows of it.
struct PreparedPrompt {
  std::vector<TokenId> ids;
  std::string echo;
};

/// Seeds for requests that bring none. Thread-safe.
class SeedSource {
 public:
  SeedSource() {
    std::random_device device;
    next_ = (uint64_t{device()} << 32) ^ device();
  }
  uint64_t draw() {  // splitmix64: neighbouring counts give unrelated seeds
    uint64_t z = next_.fetch_add(0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  std::atomic<uint64_t> next_;
};

class ServiceImpl final : public Service {
 public:
  explicit ServiceImpl(ServiceParts parts) : parts_(std::move(parts)) {}

  Result<std::shared_ptr<Call>> complete(const CompletionRequest& request,
                                         std::shared_ptr<EventSink> sink) override;
  Result<std::shared_ptr<Call>> chat(const ChatRequest& request,
                                     std::shared_ptr<EventSink> sink) override;
  Result<std::vector<TokenId>> tokenize(std::string_view text, bool add_special,
                                        bool parse_special) const override;
  Result<std::string> detokenize(const std::vector<int64_t>& ids) const override;
  std::vector<ModelInfo> models() const override { return {parts_.info}; }
  bool ready() const override { return ready_; }
  void set_ready(bool ready) override { ready_ = ready; }
  EngineStats stats() const override { return parts_.engine->stats(); }

 private:
  Status check_model(const std::string& name) const;
  Result<ValidOptions> check_options(const GenerationOptions& options) const;
  Result<PreparedPrompt> prepare(const Prompt& prompt, bool add_special, bool echo) const;
  Result<std::vector<TokenId>> encode_chat(const ChatRequest& request) const;
  Status check_length(const std::vector<TokenId>& ids, std::string_view param) const;
  Request make_request(const PreparedPrompt& prompt, const GenerationOptions& options,
                       const ValidOptions& valid, int sample) const;
  Result<std::shared_ptr<Call>> start(std::vector<PreparedPrompt> prompts,
                                      const GenerationOptions& options, const ValidOptions& valid,
                                      std::shared_ptr<EventSink> sink);
  std::vector<TokenId> stop_ids() const;

  const ServiceParts parts_;
  std::atomic<bool> ready_ = false;
  std::atomic<RequestId> next_id_ = 1;
  mutable SeedSource seeds_;
};

Status no_tokenizer() {
  return absl::FailedPreconditionError("[api] the model has no tokenizer: send and take token ids");
}

Status ServiceImpl::check_model(const std::string& name) const {
  if (name.empty() || name == parts_.info.name) return {};
  return with_details(
      absl::NotFoundError(str_cat("[api] The model `", name.substr(0, 200),
                                  "` does not exist. Available: ", parts_.info.name)),
      kCodeModelNotFound, "model");
}

Result<ValidOptions> ServiceImpl::check_options(const GenerationOptions& options) const {
  MKM_RETURN_IF_ERROR(check_model(options.model));
  if (!options.stop.empty() && !parts_.tokenizer) return no_tokenizer();
  return validate_options(options, parts_.info.vocab_size);
}

Status ServiceImpl::check_length(const std::vector<TokenId>& ids, std::string_view param) const {
  if (ids.empty()) return field_error(param, param, " has no tokens");
  const size_t most = parts_.info.context_length;
  if (ids.size() < most) return {};
  return with_details(
      field_error(param, "This model's maximum context length is ", most, " tokens, ", param,
                  " has ", ids.size(), " and leaves no room for an answer"),
      kCodeContextLength, param);
}

Result<PreparedPrompt> ServiceImpl::prepare(const Prompt& prompt, bool add_special,
                                            bool echo) const {
  PreparedPrompt prepared;
  if (const auto* text = std::get_if<std::string>(&prompt)) {
    MKM_ASSIGN_OR_RETURN(prepared.ids, tokenize(*text, add_special, true));
    if (echo) prepared.echo = *text;
  } else {
    MKM_ASSIGN_OR_RETURN(prepared.ids,
                         validate_ids(std::get<1>(prompt), parts_.info.vocab_size, "prompt"));
    if (echo && parts_.tokenizer) prepared.echo = parts_.tokenizer->decode(prepared.ids, false);
  }
  MKM_RETURN_IF_ERROR(check_length(prepared.ids, "prompt"));
  return prepared;
}

Result<std::shared_ptr<Call>> ServiceImpl::complete(const CompletionRequest& request,
                                                    std::shared_ptr<EventSink> sink) {
  MKM_ASSIGN_OR_RETURN(const ValidOptions valid, check_options(request.options));
  if (request.prompts.empty() || request.prompts.size() > kMaxPrompts) {
    return field_error("prompt", "prompt holds ", request.prompts.size(),
                       " prompts, it must hold between 1 and ", kMaxPrompts);
  }
  std::vector<PreparedPrompt> prompts;
  for (const Prompt& prompt : request.prompts) {
    MKM_ASSIGN_OR_RETURN(prompts.emplace_back(),
                         prepare(prompt, request.add_special, request.options.echo));
  }
  return start(std::move(prompts), request.options, valid, std::move(sink));
}

Result<std::vector<TokenId>> ServiceImpl::encode_chat(const ChatRequest& request) const {
  if (!parts_.tokenizer) return no_tokenizer();
  if (!parts_.chat_template) {
    return absl::FailedPreconditionError("[api] the model has no chat template: use completions");
  }
  MKM_ASSIGN_OR_RETURN(const std::string text,
                       render_chat(request, *parts_.chat_template, *parts_.tokenizer));
  const std::string bos = parts_.tokenizer->special_text(parts_.tokenizer->spec().bos);
  const bool has_bos = !bos.empty() && text.starts_with(bos);
  return tokenize(text, !has_bos, true);
}

Result<std::shared_ptr<Call>> ServiceImpl::chat(const ChatRequest& request,
                                                std::shared_ptr<EventSink> sink) {
  MKM_ASSIGN_OR_RETURN(const ValidOptions valid, check_options(request.options));
  if (request.options.echo) return field_error("echo", "echo is for completions, not for chats");
  PreparedPrompt prompt;
  MKM_ASSIGN_OR_RETURN(prompt.ids, encode_chat(request));
  MKM_RETURN_IF_ERROR(check_length(prompt.ids, "messages"));
  std::vector<PreparedPrompt> prompts;
  prompts.push_back(std::move(prompt));
  return start(std::move(prompts), request.options, valid, std::move(sink));
}

std::vector<TokenId> ServiceImpl::stop_ids() const {
  if (!parts_.tokenizer) return {};
  const TokenizerSpec& spec = parts_.tokenizer->spec();
  std::vector<TokenId> ids = spec.end_of_generation;
  if (spec.eos && std::ranges::find(ids, *spec.eos) == ids.end()) ids.push_back(*spec.eos);
  return ids;
}

Request ServiceImpl::make_request(const PreparedPrompt& prompt, const GenerationOptions& options,
                                  const ValidOptions& valid, int sample) const {
  Request request;
  request.prompt = prompt.ids;
  request.sampling = valid.sampling;
  request.sampling.seed = valid.has_seed ? valid.sampling.seed + sample : seeds_.draw();
  const int room = parts_.info.context_length - static_cast<int>(prompt.ids.size());
  request.max_tokens = std::min(valid.max_tokens.value_or(room), room);
  if (!options.ignore_eos) request.stop_ids = stop_ids();
  request.top_logprobs = valid.top_logprobs;
  request.deadline = options.deadline;
  return request;
}

Result<std::shared_ptr<Call>> ServiceImpl::start(std::vector<PreparedPrompt> prompts,
                                                 const GenerationOptions& options,
                                                 const ValidOptions& valid,
                                                 std::shared_ptr<EventSink> sink) {
  std::vector<Request> requests;
  std::vector<RequestId> ids;
  int64_t prompt_tokens = 0;
  for (const PreparedPrompt& prompt : prompts) {
    prompt_tokens += static_cast<int64_t>(prompt.ids.size());
    for (int sample = 0; sample < valid.n; ++sample) {
      requests.push_back(make_request(prompt, options, valid, sample));
      requests.back().id = ids.emplace_back(next_id_++);
    }
  }
  const auto call =
      std::make_shared<CallState>(parts_.engine, std::move(sink), std::move(ids), prompt_tokens);
  const auto stop = std::make_shared<const StopStrings>(options.stop);
  for (size_t i = 0; i < requests.size(); ++i) {
    TextSink::Options sink_options{static_cast<int>(i), valid.top_logprobs >= 0,
                                   prompts[i / valid.n].echo};
    auto text_sink =
        std::make_shared<TextSink>(call, parts_.tokenizer, stop, std::move(sink_options));
    if (Status status = parts_.engine->submit(std::move(requests[i]), std::move(text_sink));
        !status.ok()) {
      call->cancel();
      return status;
    }
  }
  // The reader may have given up before the last choice was submitted.
  if (call->cancelled()) call->cancel();
  return call;
}

Result<std::vector<TokenId>> ServiceImpl::tokenize(std::string_view text, bool add_special,
                                                   bool parse_special) const {
  if (!parts_.tokenizer) return no_tokenizer();
  Result<std::vector<TokenId>> ids = parts_.tokenizer->encode(text, {add_special, parse_special});
  if (ids.ok() || absl::IsInvalidArgument(ids.status())) return ids;
  return invalid_argument("api", "the text cannot be tokenized: ", client_message(ids.status()));
}

Result<std::string> ServiceImpl::detokenize(const std::vector<int64_t>& ids) const {
  if (!parts_.tokenizer) return no_tokenizer();
  MKM_ASSIGN_OR_RETURN(const std::vector<TokenId> valid,
                       validate_ids(ids, parts_.info.vocab_size, "tokens"));
  return parts_.tokenizer->decode(valid, true);
}

}  // namespace

std::unique_ptr<Service> Service::create(ServiceParts parts) {
  return std::make_unique<ServiceImpl>(std::move(parts));
}

}  // namespace mokume
