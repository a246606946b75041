#include "device/check_step.h"

#include <algorithm>

#include "model/memory.h"

namespace mokume {
namespace {

bool pages_fit(const SequenceSlice& slice, const StageOptions& options) {
  const int64_t end = int64_t{slice.first_position} + slice.token_count;
  return end <= static_cast<int64_t>(slice.pages.size()) * options.page_tokens &&
         std::all_of(slice.pages.begin(), slice.pages.end(),
                     [&](int page) { return page >= 0 && page < options.kv_pages; });
}

Status check_slices(std::string_view room, const StageStep& step, const StageOptions& options) {
  const bool has_states =
      stage_state_bytes(options.model->spec, options.first_layer, options.last_layer) > 0;
  int64_t next = 0;
  for (const SequenceSlice& slice : step.sequences) {
    if (slice.first_token != next || slice.token_count <= 0 || slice.first_position < 0 ||
        !pages_fit(slice, options)) {
      return invalid_argument(room, "a sequence's slice at token ", slice.first_token,
                              " does not fit its pages");
    }
    if (has_states && (slice.state_slot < 0 || slice.state_slot >= options.state_slots)) {
      return invalid_argument(room, "a sequence has its states in slot ", slice.state_slot,
                              "; there are ", options.state_slots);
    }
    next += slice.token_count;
  }
  if (next == static_cast<int64_t>(step.token_ids.size())) return absl::OkStatus();
  return invalid_argument(room, "slices cover ", next, " of ", step.token_ids.size(), " tokens");
}

}  // namespace

Status check_step(std::string_view room, const StageStep& step, const StageOptions& options) {
  const int tokens = static_cast<int>(step.token_ids.size());
  if (tokens == 0 || tokens > options.max_tokens) {
    return invalid_argument(room, "a step of ", tokens, " tokens; 1..", options.max_tokens, " fit");
  }
  if (static_cast<int>(step.logit_rows.size()) > options.max_logit_rows) {
    return invalid_argument(room, "a step with ", step.logit_rows.size(), " rows of logits; ",
                            options.max_logit_rows, " fit");
  }
  MKM_RETURN_IF_ERROR(check_slices(room, step, options));
  const auto bad_row = [&](int row) { return row < 0 || row >= tokens; };
  if (std::any_of(step.logit_rows.begin(), step.logit_rows.end(), bad_row)) {
    return invalid_argument(room, "logits wanted of a token that is not in the step");
  }
  const auto bad_id = [&](int id) { return id < 0 || id >= options.model->spec.vocab_size; };
  if (options.has_embedding && std::any_of(step.token_ids.begin(), step.token_ids.end(), bad_id)) {
    return invalid_argument(room, "a token id is outside the vocabulary");
  }
  return absl::OkStatus();
}

}  // namespace mokume
