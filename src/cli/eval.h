// `mokume eval`: how right a model's answers are.
#pragma once

#include <cstdint>
#include <ostream>
#include <span>
#include <string>

#include "base/status.h"
#include "config/config.h"
#include "runtime/runtime.h"

namespace mokume {

/// Which model, through which placement.
struct EvalOptions {
  Config config;
  bool exact = false;  ///< activations and KV in F32, weights as stored
  bool json = false;
  bool progress = false;  ///< draw progress on stderr
};

/// Loads the stages, drawing progress.
Result<Runtime> load_for_eval(const EvalOptions& options);

/// The largest text that is read.
constexpr uint64_t kMaxTextBytes = 64u << 20;

struct Perplexity {
  double value = 0;
  int tokens_scored = 0;
  size_t chunks = 0;
};

/// As eval_perplexity(), of a text that is tokens already.
Result<Perplexity> measure_perplexity(const EvalOptions& options, std::span<const int32_t> ids,
                                      int context);

/// Perplexity of a text in chunks of `context` tokens, each from an empty cache and without a BOS
/// token. Scored are the tokens at positions context/2 + 1 ... context - 1, each predicted from all
/// before it in its chunk: the convention of llama.cpp's perplexity tool.
Status eval_perplexity(const EvalOptions& options, const std::string& text_path, int context,
                       std::ostream& out);

/// Reads a JSON array of token ids and writes one F32 tensor `logits` [tokens, vocab] as
/// safetensors; row t holds the logits after token t.
Status eval_logits(const EvalOptions& options, const std::string& tokens_path,
                   const std::string& output_path, std::ostream& out);

}  // namespace mokume
