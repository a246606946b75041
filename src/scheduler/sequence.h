// What the scheduler knows of one running request.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kvcache/block_table.h"
#include "scheduler/request.h"

namespace mokume {

/// Given by the scheduler in order of arrival, never twice.
using SequenceId = uint64_t;

/// Touched by the engine's thread only.
struct Sequence {
  Sequence(SequenceId sequence_id, std::vector<TokenId> prompt, PagePool& pool, int page_tokens)
      : id(sequence_id),
        tokens(std::move(prompt)),
        prompt_tokens(static_cast<int>(tokens.size())),
        blocks(pool, page_tokens) {}

  int token_count() const { return static_cast<int>(tokens.size()); }
  /// Tokens that no batch has carried yet.
  int remaining() const { return token_count() - scheduled; }
  /// Only the newest generated token is to be stepped.
  bool is_decode() const { return scheduled >= prompt_tokens && remaining() == 1; }

  const SequenceId id;
  std::vector<TokenId> tokens;  ///< prompt, then what was generated
  const int prompt_tokens;
  int scheduled = 0;  ///< positions [0, scheduled) are in the cache, or on their way in a batch
  int in_flight = 0;  ///< batches under way that carry it
  bool awaiting_token = false;  ///< one of them brings its next token
  BlockTable blocks;
  /// In [0, max_sequences), its own while it is running; -1 while it waits.
  int state_slot = -1;
};

}  // namespace mokume
