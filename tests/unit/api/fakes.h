// An engine that only notes what it is asked, a tokenizer of bytes, and a sink that collects.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/service.h"
#include "base/utf8.h"

namespace mokume::testing {

inline constexpr TokenId kBos = 256, kEos = 257;

/// Ids 0 to 255 are bytes, 256 is "<s>", 257 "</s>"; further ids are the given pieces, in order.
class FakeTokenizer final : public Tokenizer {
 public:
  explicit FakeTokenizer(std::vector<std::string> pieces = {}) : pieces_(std::move(pieces)) {
    for (int i = 0; i < 256; ++i) spec_.tokens.emplace_back(1, static_cast<char>(i));
    spec_.tokens.insert(spec_.tokens.end(), {"<s>", "</s>"});
    spec_.tokens.insert(spec_.tokens.end(), pieces_.begin(), pieces_.end());
    spec_.bos = kBos;
    spec_.eos = kEos;
    spec_.end_of_generation = {kEos, 10};
    spec_.add_bos = true;
  }

  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const override {
    if (find_invalid_utf8(text)) return invalid_argument("tokenizer", "the text is not UTF-8");
    std::vector<TokenId> ids;
    if (options.add_special) ids.push_back(kBos);
    while (!text.empty()) {
      if (options.parse_special && text.starts_with("<s>")) {
        ids.push_back(kBos);
        text.remove_prefix(3);
      } else {
        ids.push_back(static_cast<unsigned char>(text[0]));
        text.remove_prefix(1);
      }
    }
    return ids;
  }
  std::string token_bytes(TokenId id, bool special) const override {
    if (id < 0 || id >= vocab_size()) return {};
    return (id == kBos || id == kEos) && !special ? std::string() : spec_.tokens[id];
  }
  std::string decode(std::span<const TokenId> ids, bool special) const override {
    std::string text;
    for (const TokenId id : ids) text += token_bytes(id, special);
    return replace_invalid_utf8(text);
  }
  int vocab_size() const override { return static_cast<int>(spec_.tokens.size()); }
  bool is_end_of_generation(TokenId id) const override { return id == kEos; }
  const TokenizerSpec& spec() const override { return spec_; }

 private:
  std::vector<std::string> pieces_;
  TokenizerSpec spec_;
};

/// Renders "[<s>]role:content;..." and keeps the context.
class FakeTemplate final : public ChatTemplate {
 public:
  Result<std::string> render(const nlohmann::ordered_json& context,
                             const TemplateLimits&) const override {
    last_context = context;
    if (!failure.ok()) return failure;
    std::string text = with_bos ? "<s>" : "";
    for (const auto& message : context["messages"]) {
      text += message["role"].get<std::string>() + ":";
      if (message.contains("content") && message["content"].is_string()) {
        text += message["content"].get<std::string>();
      }
      text += ";";
    }
    return text;
  }

  mutable nlohmann::ordered_json last_context;
  bool with_bos = false;
  Status failure;
};

class FakeEngine final : public Engine {
 public:
  Status submit(Request request, std::shared_ptr<TokenSink> sink) override {
    if (requests.size() == refuse_at) return resource_exhausted("engine", "the queue is full");
    requests.push_back(std::move(request));
    sinks.push_back(std::move(sink));
    return {};
  }
  void cancel(RequestId id) override { cancelled.push_back(id); }
  void drain(std::chrono::milliseconds) override {}
  EngineStats stats() const override { return {}; }

  TokenSink::Verdict token(size_t request, TokenId id) {
    TokenEvent event;
    event.id = id;
    return sinks[request]->on_token(event);
  }
  void finish(size_t request, FinishReason reason, int generated = 0, Status status = {}) {
    FinishEvent event;
    event.reason = reason;
    event.generated_tokens = generated;
    event.status = std::move(status);
    sinks[request]->on_finish(event);
  }

  std::vector<Request> requests;
  std::vector<std::shared_ptr<TokenSink>> sinks;
  std::vector<RequestId> cancelled;
  size_t refuse_at = SIZE_MAX;
};

class CollectingSink final : public EventSink {
 public:
  bool push(TextEvent event) override {
    events.push_back(std::move(event));
    return accept;
  }
  std::string text(int choice = 0) const {
    std::string text;
    for (const TextEvent& event : events) {
      if (event.choice == choice) text += event.text;
    }
    return text;
  }
  std::vector<TokenId> ids(int choice = 0) const {
    std::vector<TokenId> ids;
    for (const TextEvent& event : events) {
      if (event.choice == choice) ids.insert(ids.end(), event.ids.begin(), event.ids.end());
    }
    return ids;
  }

  std::vector<TextEvent> events;
  bool accept = true;
};

/// A service over the fakes.
struct Fixture {
  explicit Fixture(std::vector<std::string> pieces = {}, bool with_tokenizer = true) {
    tokenizer = std::make_shared<FakeTokenizer>(std::move(pieces));
    ServiceParts parts;
    parts.info.name = "fake";
    parts.info.context_length = 100;
    parts.info.vocab_size = tokenizer->vocab_size();
    if (with_tokenizer) parts.tokenizer = tokenizer;
    parts.chat_template = chat_template;
    parts.engine = &engine;
    service = Service::create(parts);
  }

  Result<std::shared_ptr<Call>> complete(std::string prompt, GenerationOptions options = {}) {
    CompletionRequest request;
    request.prompts.emplace_back(std::move(prompt));
    request.options = std::move(options);
    return service->complete(request, sink);
  }
  Result<std::shared_ptr<Call>> chat(std::string messages, GenerationOptions options = {}) {
    ChatRequest request;
    request.messages_json = std::move(messages);
    request.options = std::move(options);
    return service->chat(request, sink);
  }

  FakeEngine engine;
  std::shared_ptr<FakeTokenizer> tokenizer;
  std::shared_ptr<FakeTemplate> chat_template = std::make_shared<FakeTemplate>();
  std::shared_ptr<CollectingSink> sink = std::make_shared<CollectingSink>();
  std::unique_ptr<Service> service;
};

}  // namespace mokume::testing
