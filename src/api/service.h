// Everything a client can ask for: validation, limits, chat template and tokenizer in front of the
// engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/types.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/tokenizer.h"

namespace mokume {

/// The parts a service stands on; all outlive it.
struct ServiceParts {
  ModelInfo info;
  std::shared_ptr<const Tokenizer> tokenizer;         ///< null: token ids only
  std::shared_ptr<const ChatTemplate> chat_template;  ///< null: no chat
  Engine* engine = nullptr;
};

/// Thread-safe. Errors: InvalidArgument (a field; the message names it), NotFound (the model),
/// ResourceExhausted (queue full), Unavailable (draining), FailedPrecondition (no tokenizer or
/// template). api/errors.h reads OpenAI's `code` and `param` off them.
class Service {
 public:
  virtual ~Service() = default;
  static std::unique_ptr<Service> create(ServiceParts parts);

  /// Events may reach `sink` before these return; where they return an error, what has reached it
  /// is void. Every choice of the call is submitted, or none is.
  virtual Result<std::shared_ptr<Call>> complete(const CompletionRequest& request,
                                                 std::shared_ptr<EventSink> sink) = 0;
  virtual Result<std::shared_ptr<Call>> chat(const ChatRequest& request,
                                             std::shared_ptr<EventSink> sink) = 0;
  virtual Result<std::vector<TokenId>> tokenize(std::string_view text, bool add_special,
                                                bool parse_special) const = 0;
  virtual Result<std::string> detokenize(const std::vector<int64_t>& ids) const = 0;
  virtual std::vector<ModelInfo> models() const = 0;
  /// True from the moment the model is loaded until draining begins.
  virtual bool ready() const = 0;
  virtual void set_ready(bool ready) = 0;
  virtual EngineStats stats() const = 0;
};

}  // namespace mokume
