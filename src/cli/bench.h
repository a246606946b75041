// `mokume bench`: how fast a model runs here.
#pragma once

#include <ostream>

#include "base/status.h"
#include "config/config.h"

namespace mokume {

struct BenchOptions {
  Config config;
  int prompt = 512;     ///< tokens of each prompt
  int generate = 128;   ///< tokens generated for each
  int sequences = 1;    ///< at once
  int repeat = 5;       ///< measured rounds, after one that is not
  bool memory = false;  ///< measure the machine's limits before and after every round
  bool json = false;
  bool progress = false;
};

/// Runs made-up prompts through the engine and reports, over the rounds, {min, median, max} of
///   prompt_tokens_per_second  all prompts' tokens / time until the last sequence's first token
///   decode_tokens_per_second  tokens after each sequence's first / time from the last first token
///   to the end total_tokens_per_second   all generated tokens / time of the whole round
///   read_bytes_per_token   weights, states and KV that a token of decoding reads, on average
/// and, with `memory`,
///   memory_bytes_per_second  what reading alone reaches, around each round
///   decode_share_of_memory   read_bytes_per_token * decode rate / memory_bytes_per_second, by
///   pairs
///   operations_per_prompt_token  multiplications and additions in linear layers that a token of a
///   prompt takes; the head's once a prompt
///   int8_operations_per_second  what dot products of int8 on registers reach, around each round
///   prompt_share_of_int8     operations_per_prompt_token * prompt rate /
///   int8_operations_per_second, by pairs
/// The last three are left out where there is no loop for the machine's instructions (NEON).
/// With several sequences the second figure counts only what was generated after the last prompt
/// was through.
Status run_bench(const BenchOptions& options, std::ostream& out);

}  // namespace mokume
