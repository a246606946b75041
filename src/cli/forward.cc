#include "cli/forward.h"

#include <algorithm>
#include <future>
#include <numeric>

#include "base/checked.h"

namespace mokume {
namespace {

Status run_and_wait(Stage& stage, const StageStep& step) {
  std::promise<Status> done;
  stage.enqueue(step, [&](Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

Status check_sequence(const Runtime& runtime, std::span<const int32_t> ids) {
  const int64_t capacity = int64_t{runtime.plan.kv_pages} * runtime.plan.page_tokens;
  if (ids.empty()) return invalid_argument("eval", "there are no tokens");
  if (static_cast<int64_t>(ids.size()) > capacity) {
    return invalid_argument("eval", ids.size(), " tokens do not fit the KV cache, which holds ",
                            capacity, "; raise scheduler.kv_cache.memory");
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= runtime.spec().vocab_size) {
      return invalid_argument("eval", "token ", i, " has id ", ids[i],
                              ", outside the vocabulary of ", runtime.spec().vocab_size);
    }
  }
  return absl::OkStatus();
}

}  // namespace

int forward_logit_rows(const SchedulerConfig& scheduler) { return scheduler.prefill_chunk_tokens; }

Status forward(Runtime& runtime, std::span<const int32_t> ids,
               const std::function<void(int token, std::span<const float> logits)>& on_logits) {
  MKM_RETURN_IF_ERROR(check_sequence(runtime, ids));
  const int chunk = runtime.config.scheduler.prefill_chunk_tokens;
  const int total = static_cast<int>(ids.size());
  const size_t vocab = static_cast<size_t>(runtime.spec().vocab_size);
  std::vector<int32_t> pages(static_cast<size_t>(div_up(total, runtime.plan.page_tokens)));
  std::iota(pages.begin(), pages.end(), 0);
  std::vector<int32_t> rows(static_cast<size_t>(chunk));
  std::iota(rows.begin(), rows.end(), 0);
  const size_t hidden_floats =
      static_cast<size_t>(chunk) * static_cast<size_t>(runtime.spec().hidden_size);
  std::vector<float> hidden[2] = {std::vector<float>(hidden_floats),
                                  std::vector<float>(hidden_floats)};
  std::vector<float> logits(static_cast<size_t>(std::min(chunk, total)) * vocab);

  for (int first = 0; first < total; first += chunk) {
    const int count = std::min(chunk, total - first);
    const SequenceSlice slice{0, count, first, pages};
    StageStep step;
    step.token_ids = ids.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    step.sequences = {&slice, 1};
    step.logit_rows = {rows.data(), static_cast<size_t>(count)};
    step.logits_out = logits.data();
    for (size_t s = 0; s < runtime.stages.size(); ++s) {
      step.hidden_in = hidden[s % 2].data();
      step.hidden_out = hidden[(s + 1) % 2].data();
      MKM_RETURN_IF_ERROR(run_and_wait(*runtime.stages[s], step));
    }
    for (int t = 0; t < count; ++t)
      on_logits(first + t, {logits.data() + static_cast<size_t>(t) * vocab, vocab});
  }
  return absl::OkStatus();
}

}  // namespace mokume
