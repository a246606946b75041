#include "grpc/event_stream.h"

#include <utility>

#include "grpc/wire.h"

namespace mokume {
namespace {

/// What a choice's end means for the whole call; OK where it ended well.
Status failure_of(const TextEvent& event) {
  const absl::string_view why = event.status.message();
  switch (event.finish.value_or(FinishReason::kStop)) {
    case FinishReason::kStop:
    case FinishReason::kLength:
      return absl::OkStatus();
    case FinishReason::kCancelled:
      return absl::CancelledError(why.empty() ? "[grpc] the call was cancelled" : why);
    case FinishReason::kDeadline:
      return absl::DeadlineExceededError(why.empty() ? "[grpc] the deadline has passed" : why);
    case FinishReason::kError:
      break;
  }
  return event.status.ok() ? internal_error("grpc", "the call failed without a reason")
                           : event.status;
}

}  // namespace

EventStream* EventStream::start(Encode encode, const Submit& submit) {
  std::shared_ptr<EventStream> stream(new EventStream(encode));
  stream->self_ = stream;
  Result<std::shared_ptr<Call>> call = submit(stream);
  bool ours = false;
  {
    std::lock_guard lock(stream->mutex_);
    if (call.ok()) {
      stream->call_ = *std::move(call);
    } else {
      stream->reject(call.status());
      ours = !std::exchange(stream->busy_, true);
    }
  }
  if (ours) stream->advance();
  return stream.get();
}

bool EventStream::push(TextEvent event) {
  bool accepted = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    accepted = enqueue(std::move(event));
    if (std::exchange(busy_, true)) return accepted;
  }
  advance();
  return accepted;
}

bool EventStream::enqueue(TextEvent event) {
  if (queue_.size() >= kMaxQueued) {
    queue_.clear();
    close(resource_exhausted("grpc", "the client reads too slowly: ", kMaxQueued,
                             " messages wait for it"));
    return false;
  }
  if (outcome_.ok()) outcome_ = failure_of(event);
  closed_ = event.all_finished;
  queue_.push_back(std::move(event));
  return true;
}

void EventStream::reject(Status error) {
  if (closed_) return;
  queue_.clear();
  outcome_ = std::move(error);
  closed_ = true;
}

void EventStream::close(Status outcome) {
  if (!closed_ && outcome_.ok()) outcome_ = std::move(outcome);
  closed_ = true;
}

void EventStream::advance() {
  TextEvent event;
  bool have_event = false;
  bool last = false;
  {
    std::lock_guard lock(mutex_);
    have_event = !queue_.empty();
    if (have_event) {
      event = std::move(queue_.front());
      queue_.pop_front();
    } else if (!closed_) {
      busy_ = false;
      return;
    }
    last = closed_ && queue_.empty();
  }
  // From here outcome_ no longer changes where `last` is set, and this thread alone calls gRPC.
  // After the call below, OnDone may have let go of the stream.
  if (have_event) message_ = encode_(event);
  if (!last) {
    StartWrite(&message_);
  } else if (have_event) {
    StartWriteAndFinish(&message_, grpc::WriteOptions(), to_grpc(outcome_));
  } else {
    Finish(to_grpc(outcome_));
  }
}

void EventStream::OnWriteDone(bool ok) {
  if (!ok) abandon();
  advance();
}

void EventStream::OnCancel() {
  if (!abandon()) advance();
}

bool EventStream::abandon() {
  std::shared_ptr<Call> call;
  bool was_busy = false;
  {
    std::lock_guard lock(mutex_);
    close(absl::CancelledError("[grpc] the client has gone"));
    queue_.clear();
    was_busy = std::exchange(busy_, true);
    call = call_;
  }
  if (call) call->cancel();
  return was_busy;
}

void EventStream::OnDone() {
  std::shared_ptr<EventStream> self;
  std::shared_ptr<Call> call;  // may hold this stream in turn
  std::lock_guard lock(mutex_);
  self = std::move(self_);
  call = std::move(call_);
}

}  // namespace mokume
