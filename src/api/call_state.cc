#include "api/call_state.h"

#include <utility>

namespace mokume {

CallState::CallState(Engine* engine, std::shared_ptr<EventSink> sink, std::vector<RequestId> ids,
                     int64_t prompt_tokens)
    : engine_(engine),
      sink_(std::move(sink)),
      ids_(std::move(ids)),
      prompt_tokens_(prompt_tokens),
      unfinished_(ids_.size()) {}

void CallState::cancel() {
  cancelled_ = true;
  for (const RequestId id : ids_) engine_->cancel(id);
}

bool CallState::push(TextEvent event) {
  if (cancelled()) return false;
  event.usage.prompt_tokens = prompt_tokens_;
  if (!event.all_finished) event.usage.completion_tokens = completion_tokens_;
  if (sink_->push(std::move(event))) return true;
  cancel();
  return false;
}

void CallState::push_last(TextEvent event, int tokens) {
  completion_tokens_ += tokens;
  event.usage = {prompt_tokens_, completion_tokens_};
  event.all_finished = --unfinished_ == 0;
  // A cancelled call gets its last events too: the reader may wait for them.
  if (!sink_->push(std::move(event)) && !cancelled()) cancel();
}

}  // namespace mokume
