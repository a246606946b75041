// One step of the pipeline, as flat arrays.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scheduler/sequence.h"

namespace mokume {

/// One sequence's part of a batch: tokens [first_token, first_token + token_count) of the batch are
/// its positions first_position, first_position + 1, ...
struct BatchSlice {
  SequenceId sequence = 0;
  int32_t first_token = 0;
  int32_t token_count = 0;
  int32_t first_position = 0;
  int32_t first_page = 0;  ///< its pages are page_ids [first_page, first_page + page_count)
  int32_t page_count = 0;
  int32_t state_slot = 0;  ///< where the stages keep its recurrent states
};

/// Read-only once built; owns everything it says.
struct Batch {
  std::vector<TokenId> token_ids;             ///< [T]
  std::vector<BatchSlice> slices;             ///< disjoint, in order, covering all T tokens
  std::vector<int32_t> page_ids;              ///< of all slices, one after the other
  std::vector<int32_t> logit_rows;            ///< tokens whose logits are wanted, rising
  std::vector<SequenceId> sampled_sequences;  ///< [logit_rows]: whose next token each row gives

  std::span<const int32_t> pages(const BatchSlice& slice) const {
    return std::span(page_ids).subspan(slice.first_page, slice.page_count);
  }
};

}  // namespace mokume
