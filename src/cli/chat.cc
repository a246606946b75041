#include "cli/chat.h"

#include <nlohmann/json.hpp>

#include "api/service.h"
#include "base/bounded_queue.h"
#include "cli/progress.h"
#include "runtime/runtime.h"

namespace mokume {
namespace {

// More pieces than an answer can wait with while the terminal takes its time.
constexpr size_t kMaxPieces = 1 << 20;

/// Hands the pieces of an answer from the engine's thread to the terminal's.
class PieceQueue : public EventSink {
 public:
  bool push(TextEvent event) override { return events_.try_push(std::move(event)); }
  TextEvent pop() { return events_.pop().value_or(TextEvent{}); }

 private:
  BoundedQueue<TextEvent> events_{kMaxPieces};
};

Result<Runtime> load(const ChatOptions& options) {
  ProgressBar bar("loading", options.progress);
  RuntimeOptions runtime;
  runtime.progress = [&](int done, int total) { bar.update(done, total); };
  return load_runtime(options.config, runtime);
}

ServiceParts service_parts(const Runtime& runtime,
                           std::shared_ptr<const ChatTemplate> chat_template, Engine& engine) {
  ServiceParts parts;
  parts.info.context_length = runtime.plan.context_length;
  parts.info.vocab_size = runtime.spec().vocab_size;
  parts.info.has_tokenizer = parts.info.has_chat_template = true;
  parts.tokenizer = runtime.loaded.tokenizer;
  parts.chat_template = std::move(chat_template);
  parts.engine = &engine;
  return parts;
}

/// Writes one answer and returns its text.
Result<std::string> answer(Service& service, const ChatRequest& request, std::ostream& out) {
  const auto pieces = std::make_shared<PieceQueue>();
  MKM_ASSIGN_OR_RETURN(const auto call, service.chat(request, pieces));
  std::string text;
  while (true) {
    const TextEvent event = pieces->pop();
    out << event.text << std::flush;
    text += event.text;
    if (!event.status.ok()) return event.status;
    if (event.all_finished) return text;
  }
}

}  // namespace

Status run_chat(const ChatOptions& options, std::istream& in, std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load(options));
  if (!runtime.loaded.tokenizer || runtime.loaded.chat_template.empty()) {
    return invalid_argument("cli", options.config.model.path,
                            " has no tokenizer or no chat template");
  }
  MKM_ASSIGN_OR_RETURN(auto chat_template, ChatTemplate::parse(runtime.loaded.chat_template));
  MKM_ASSIGN_OR_RETURN(const auto engine, make_engine(runtime, {}));
  const auto service = Service::create(service_parts(runtime, std::move(chat_template), *engine));

  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (!options.system.empty())
    messages.push_back({{"role", "system"}, {"content", options.system}});
  ChatRequest request;
  request.options.temperature = options.temperature;
  request.options.seed = options.seed;
  request.options.max_tokens = options.max_tokens;
  for (std::string line;
       out << (options.prompt ? "> " : "") << std::flush, std::getline(in, line);) {
    if (line.empty()) continue;
    messages.push_back({{"role", "user"}, {"content", line}});
    // A line that is not UTF-8 reaches the service as U+FFFD.
    request.messages_json = messages.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const Result<std::string> text = answer(*service, request, out);
    if (!text.ok()) return text.status();
    out << '\n';
    messages.push_back({{"role", "assistant"}, {"content", *text}});
  }
  return absl::OkStatus();
}

}  // namespace mokume
