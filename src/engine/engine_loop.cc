#include "engine/engine_loop.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"

namespace mokume {
namespace {

SchedulerOptions scheduler_options(const EngineOptions& options, int stages) {
  return {.max_sequences = options.max_sequences,
          .prefill_chunk_tokens = options.prefill_chunk_tokens,
          .kv_pages = options.kv_pages,
          .page_tokens = options.page_tokens,
          .context_length = options.context_length,
          .stages = stages};
}

bool uses_history(const SamplingParams& params) {
  return params.repetition_penalty != 1 || params.presence_penalty != 0 ||
         params.frequency_penalty != 0;
}

Status cancelled_status() { return absl::CancelledError("[engine] the request was cancelled"); }

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

EngineLoop::EngineLoop(const EngineOptions& options, Mailbox& mailbox, Pipeline& pipeline,
                       EngineObserver observer)
    : mailbox_(mailbox),
      pipeline_(pipeline),
      observer_(std::move(observer)),
      scheduler_(scheduler_options(options, pipeline.stages())),
      sampler_(options.vocab_size) {
  publish_stats();
}

void EngineLoop::run() {
  while (!stopping_ || !pipeline_.idle()) {
    handle(mailbox_.take(next_deadline()));
    expire_deadlines();
    while (auto batch = scheduler_.next()) {
      ++counts_.steps;
      pipeline_.launch(*std::move(batch));
    }
    publish_stats();
    report_finished();
  }
}

void EngineLoop::handle(Inputs inputs) {
  for (Submission& submission : inputs.submissions) accept(std::move(submission));
  if (inputs.stop) stopping_ = true;
  if (inputs.stop || inputs.cancel_all) cancel_all();
  for (const RequestId id : inputs.cancels) cancel(id);
  for (const StepResult& result : inputs.results) complete(result);
}

void EngineLoop::accept(Submission submission) {
  Request& request = submission.request;
  Stream stream;
  stream.sink = std::move(submission.sink);
  stream.submitted = submission.submitted;
  stream.prompt_tokens = static_cast<int>(request.prompt.size());
  if (uses_history(request.sampling)) stream.history.add_prompt(request.prompt);
  const SequenceId id = scheduler_.add(std::move(request.prompt));
  stream.request = std::move(request);
  by_request_[stream.request.id] = id;
  streams_.emplace(id, std::move(stream));
}

void EngineLoop::cancel(RequestId id) {
  const auto found = by_request_.find(id);
  if (found != by_request_.end())
    finish(found->second, FinishReason::kCancelled, cancelled_status());
}

void EngineLoop::cancel_all() {
  while (!streams_.empty())
    finish(streams_.begin()->first, FinishReason::kCancelled, cancelled_status());
}

std::optional<Clock::time_point> EngineLoop::next_deadline() const {
  std::optional<Clock::time_point> earliest;
  for (const auto& [id, stream] : streams_) {
    const auto& deadline = stream.request.deadline;
    if (deadline && (!earliest || *deadline < *earliest)) earliest = deadline;
  }
  return earliest;
}

void EngineLoop::expire_deadlines() {
  const auto now = Clock::now();
  std::vector<SequenceId> late;
  for (const auto& [id, stream] : streams_) {
    if (stream.request.deadline && *stream.request.deadline <= now) late.push_back(id);
  }
  for (const SequenceId id : late) {
    finish(id, FinishReason::kDeadline,
           absl::DeadlineExceededError("[engine] the request's deadline has passed"));
  }
}

// The batch gives its tokens to the scheduler before anyone is told of them, so that a sink's
// verdict removes a sequence that is no longer in flight.
void EngineLoop::complete(const StepResult& result) {
  if (!result.status.ok()) return fail_batch(result.slot, result.status);
  const Batch& batch = pipeline_.batch(result.slot);
  const size_t rows = batch.logit_rows.size();
  sampled_.assign(rows, 0);
  events_.assign(rows, {});
  for (size_t row = 0; row < rows; ++row)
    sampled_[row] = sample_row(result.slot, row, events_[row]);
  scheduler_.commit(batch, sampled_);
  for (size_t row = 0; row < rows; ++row) deliver(batch.sampled_sequences[row], events_[row]);
  pipeline_.release(result.slot);
}

void EngineLoop::fail_batch(int slot, const Status& status) {
  const Batch& batch = pipeline_.batch(slot);
  log().error("a step of {} sequences failed: {}", batch.slices.size(),
              std::string(status.message()));
  for (const BatchSlice& slice : batch.slices) finish(slice.sequence, FinishReason::kError, status);
  scheduler_.discard(batch);
  pipeline_.release(slot);
}

// 0, which nobody looks at, for a sequence that is finished or cannot be sampled.
TokenId EngineLoop::sample_row(int slot, size_t row, TokenEvent& event) {
  const SequenceId id = pipeline_.batch(slot).sampled_sequences[row];
  const auto found = streams_.find(id);
  if (found == streams_.end()) return 0;
  const Stream& stream = found->second;
  const auto logits = pipeline_.logits(slot, static_cast<int>(row));
  const auto token = sampler_.sample(logits, stream.request.sampling, stream.history,
                                     static_cast<uint64_t>(stream.generated));
  if (!token.ok()) {
    finish(id, FinishReason::kError, token.status());
    return 0;
  }
  event.id = *token;
  if (stream.request.top_logprobs >= 0) {
    sampler_.logprobs(logits, *token, stream.request.top_logprobs, event.chosen, event.top);
  }
  const auto& stops = stream.request.stop_ids;
  event.is_stop = std::find(stops.begin(), stops.end(), *token) != stops.end();
  return *token;
}

void EngineLoop::deliver(SequenceId id, const TokenEvent& event) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  observe_token(stream);
  if (uses_history(stream.request.sampling)) stream.history.add_generated(event.id);
  ++stream.generated;
  const TokenSink::Verdict verdict = tell(stream, event);
  if (verdict == TokenSink::Verdict::kCancel) {
    finish(id, FinishReason::kCancelled, cancelled_status());
  } else if (event.is_stop || verdict == TokenSink::Verdict::kStop) {
    finish(id, FinishReason::kStop, {});
  } else if (stream.generated >= stream.request.max_tokens ||
             stream.prompt_tokens + stream.generated >= scheduler_.max_positions()) {
    finish(id, FinishReason::kLength, {});
  }
}

void EngineLoop::observe_token(Stream& stream) {
  const auto now = Clock::now();
  if (stream.generated == 0) {
    counts_.prompt_tokens += static_cast<uint64_t>(stream.prompt_tokens);
    if (observer_.time_to_first_token)
      observer_.time_to_first_token(seconds(now - stream.submitted));
  } else if (observer_.time_between_tokens) {
    observer_.time_between_tokens(seconds(now - stream.last_token));
  }
  stream.last_token = now;
  ++counts_.generated_tokens;
}

TokenSink::Verdict EngineLoop::tell(const Stream& stream, const TokenEvent& event) {
  try {
    return stream.sink->on_token(event);
  } catch (...) {  // a client's fault must not end the engine
    return TokenSink::Verdict::kCancel;
  }
}

void EngineLoop::finish(SequenceId id, FinishReason reason, Status status) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  finished_.push_back({.id = stream.request.id,
                       .sink = std::move(stream.sink),
                       .event = {.reason = reason,
                                 .status = std::move(status),
                                 .prompt_tokens = stream.prompt_tokens,
                                 .generated_tokens = stream.generated}});
  scheduler_.remove(id);
  by_request_.erase(stream.request.id);
  streams_.erase(found);
  count_finish(reason);
}

void EngineLoop::count_finish(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
    case FinishReason::kLength:
      ++counts_.requests_finished;
      break;
    case FinishReason::kCancelled:
    case FinishReason::kDeadline:
      ++counts_.requests_cancelled;
      break;
    case FinishReason::kError:
      ++counts_.requests_failed;
      break;
  }
}

// Last in a round: the stages are at work again, and who asks for stats() then finds the request
// gone.
void EngineLoop::report_finished() {
  for (Finished& finished : finished_) {
    mailbox_.forget(finished.id);
    try {
      finished.sink->on_finish(finished.event);
    } catch (...) {  // nobody is left to tell
    }
    finished.sink.reset();
    mailbox_.delivered();
  }
  finished_.clear();
}

void EngineLoop::publish_stats() {
  counts_.queued = scheduler_.waiting();
  counts_.running = scheduler_.running();
  counts_.kv_pages_used = scheduler_.pool().used();
  counts_.kv_pages_total = scheduler_.pool().total();
  counts_.preemptions = scheduler_.preemptions();
  const std::lock_guard lock(stats_mutex_);
  published_ = counts_;
}

EngineStats EngineLoop::stats() const {
  const std::lock_guard lock(stats_mutex_);
  return published_;
}

}  // namespace mokume
