#include "fake_service.h"

#include <utility>

namespace mokume {

struct FakeService::FakeCall final : Call {
  explicit FakeCall(std::atomic<int>& count) : cancelled_count(count) {}
  void cancel() override {
    if (!cancelled.exchange(true)) ++cancelled_count;
  }
  Usage prompt_usage() const override { return {3, 0}; }
  std::atomic<bool> cancelled{false};
  std::atomic<int>& cancelled_count;
};

FakeService::FakeService() : thread_([this] { run(); }) {}

FakeService::~FakeService() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FakeService::set_script(Script script) {
  std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void FakeService::refuse(Status status) {
  std::lock_guard lock(mutex_);
  refusal_ = std::move(status);
}

std::optional<CompletionRequest> FakeService::last_completion() const {
  std::lock_guard lock(mutex_);
  return last_completion_;
}

std::optional<ChatRequest> FakeService::last_chat() const {
  std::lock_guard lock(mutex_);
  return last_chat_;
}

size_t FakeService::live() const {
  std::lock_guard lock(mutex_);
  return live_;
}

bool FakeService::wait_idle() const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return live_ == 0; });
}

int FakeService::push_to_all_ever() {
  std::vector<std::shared_ptr<EventSink>> sinks;
  {
    std::lock_guard lock(mutex_);
    sinks = sinks_;
  }
  int taken = 0;
  for (const auto& sink : sinks) taken += sink->push(TextEvent());
  return taken;
}

Result<std::shared_ptr<Call>> FakeService::complete(const CompletionRequest& request,
                                                    std::shared_ptr<EventSink> sink) {
  {
    std::lock_guard lock(mutex_);
    last_completion_ = request;
  }
  return submit(request.options, std::move(sink));
}

Result<std::shared_ptr<Call>> FakeService::chat(const ChatRequest& request,
                                                std::shared_ptr<EventSink> sink) {
  {
    std::lock_guard lock(mutex_);
    last_chat_ = request;
  }
  return submit(request.options, std::move(sink));
}

Result<std::shared_ptr<Call>> FakeService::submit(const GenerationOptions& options,
                                                  std::shared_ptr<EventSink> sink) {
  auto call = std::make_shared<FakeCall>(cancelled_);
  {
    std::lock_guard lock(mutex_);
    if (!refusal_.ok()) return refusal_;
    sinks_.push_back(sink);
    arrived_.push_back({call, std::move(sink), script_, options.deadline});
    ++live_;
  }
  changed_.notify_all();
  return call;
}

void FakeService::run() {
  std::list<Running> running;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      if (running.empty()) changed_.wait(lock, [&] { return stopping_ || !arrived_.empty(); });
      if (stopping_) return;
      running.splice(running.end(), arrived_);
    }
    size_t ended = 0;
    for (auto it = running.begin(); it != running.end();) {
      if (step(*it)) {
        ++it;
      } else {
        it = running.erase(it);
        ++ended;
      }
    }
    if (ended > 0) {
      std::lock_guard lock(mutex_);
      live_ -= ended;
      changed_.notify_all();
    }
    std::this_thread::sleep_for(step_.load());
  }
}

bool FakeService::step(Running& running) {
  TextEvent event;
  const bool late = running.deadline && std::chrono::steady_clock::now() >= *running.deadline;
  if (running.call->cancelled || late) {
    event.finish = late ? FinishReason::kDeadline : FinishReason::kCancelled;
  } else {
    event.ids = {running.sent};
    event.text = str_cat("t", running.sent, ";");
    event.text.resize(std::max(event.text.size(), running.script.text_bytes), '.');
    if (++running.sent == running.script.events) {
      event.finish = running.script.finish;
      event.status = running.script.status;
    }
  }
  event.all_finished = event.finish.has_value();
  if (event.all_finished) event.usage = {3, running.sent};
  const bool last = event.all_finished;
  const bool taken = running.sink->push(std::move(event));
  refused_pushes_ += !taken;
  return taken && !last;
}

Result<std::vector<TokenId>> FakeService::tokenize(std::string_view text, bool add_special,
                                                   bool parse_special) const {
  if (text == "fail") return absl::FailedPreconditionError("[api] the model has no tokenizer");
  std::vector<TokenId> ids = {add_special, parse_special};
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

Result<std::string> FakeService::detokenize(const std::vector<int64_t>& ids) const {
  std::string text;
  for (const int64_t id : ids) {
    if (id < 0 || id > 127) return invalid_argument("api", "token_ids: ", id, " is no token");
    text += static_cast<char>(id);
  }
  return text;
}

std::vector<ModelInfo> FakeService::models() const {
  return {{"smith", "llama", 1700000000, 2048, 128, true, true}};
}

}  // namespace mokume
