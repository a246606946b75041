#include "cli/eval.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/files.h"
#include "cli/forward.h"
#include "cli/progress.h"
#include "runtime/runtime.h"

namespace mokume {
namespace {

double negative_log_probability(std::span<const float> logits, int32_t id) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum) - logits[static_cast<size_t>(id)];
}

Status score_chunk(Runtime& runtime, std::span<const int32_t> chunk, double& sum, int& tokens) {
  const int length = static_cast<int>(chunk.size());
  return forward(runtime, chunk, [&](int token, std::span<const float> logits) {
    if (token < length / 2 || token + 1 >= length) return;
    sum += negative_log_probability(logits, chunk[static_cast<size_t>(token) + 1]);
    ++tokens;
  });
}

Result<Perplexity> score(Runtime& runtime, std::span<const int32_t> ids, int context,
                         bool progress) {
  const size_t length = static_cast<size_t>(context);
  Perplexity result;
  result.chunks = ids.size() / length;
  if (result.chunks == 0) {
    return invalid_argument("eval", "the text has ", ids.size(), " tokens; one chunk takes ",
                            context);
  }
  double sum = 0;
  ProgressBar bar("scoring", progress);
  for (size_t i = 0; i < result.chunks; ++i) {
    MKM_RETURN_IF_ERROR(
        score_chunk(runtime, ids.subspan(i * length, length), sum, result.tokens_scored));
    bar.update(static_cast<int>(i) + 1, static_cast<int>(result.chunks));
  }
  result.value = std::exp(sum / result.tokens_scored);
  return result;
}

Result<std::vector<int32_t>> read_ids(const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const std::string text, read_file(path, kMaxTextBytes));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array())
    return invalid_argument("eval", path,
                            " must hold a JSON array of token ids, such as [1, 15, 8]");
  std::vector<int32_t> ids;
  for (const auto& item : json) {
    const bool fits = item.is_number_integer() && item >= 0 && item <= INT32_MAX;
    if (!fits)
      return invalid_argument("eval", path, ": element ", ids.size(), " is not a token id");
    ids.push_back(item.get<int32_t>());
  }
  return ids;
}

// safetensors: 8 bytes of header length, the header as JSON, the data.
void write_header(std::ostream& out, size_t tokens, size_t vocab) {
  const nlohmann::json header = {{"logits",
                                  {{"dtype", "F32"},
                                   {"shape", {tokens, vocab}},
                                   {"data_offsets", {0, tokens * vocab * sizeof(float)}}}}};
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t size = text.size();
  out.write(reinterpret_cast<const char*>(&size), sizeof(size));
  out << text;
}

}  // namespace

Result<Runtime> load_for_eval(const EvalOptions& options) {
  ProgressBar bar("loading", options.progress);
  RuntimeOptions runtime;
  runtime.exact = options.exact;
  runtime.max_logit_rows = forward_logit_rows(options.config.scheduler);
  runtime.progress = [&](int done, int total) { bar.update(done, total); };
  return load_runtime(options.config, runtime);
}

Result<Perplexity> measure_perplexity(const EvalOptions& options, std::span<const int32_t> ids,
                                      int context) {
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load_for_eval(options));
  return score(runtime, ids, context, options.progress);
}

Status eval_perplexity(const EvalOptions& options, const std::string& text_path, int context,
                       std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(const std::string text, read_file(text_path, kMaxTextBytes));
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load_for_eval(options));
  if (!runtime.loaded.tokenizer)
    return invalid_argument("eval", options.config.model.path, " has no tokenizer");
  MKM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, runtime.loaded.tokenizer->encode(text, {}));
  MKM_ASSIGN_OR_RETURN(const Perplexity result, score(runtime, ids, context, options.progress));
  if (options.json) {
    out << nlohmann::json{{"perplexity", result.value},
                          {"tokens_scored", result.tokens_scored},
                          {"chunks", result.chunks},
                          {"context", context},
                          {"exact", options.exact},
                          {"model", options.config.model.path},
                          {"kv_cache_dtype", options.config.scheduler.kv_cache_dtype}}
               .dump(2)
        << '\n';
  } else {
    out << "perplexity " << result.value << " over " << result.tokens_scored << " tokens in "
        << result.chunks << " chunks of " << context << '\n';
  }
  return absl::OkStatus();
}

Status eval_logits(const EvalOptions& options, const std::string& tokens_path,
                   const std::string& output_path, std::ostream& out) {
  MKM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, read_ids(tokens_path));
  MKM_ASSIGN_OR_RETURN(Runtime runtime, load_for_eval(options));
  const size_t vocab = static_cast<size_t>(runtime.spec().vocab_size);
  return write_file(output_path, [&](std::ostream& file) -> Status {
    write_header(file, ids.size(), vocab);
    MKM_RETURN_IF_ERROR(forward(runtime, ids, [&](int, std::span<const float> logits) {
      file.write(reinterpret_cast<const char*>(logits.data()),
                 static_cast<std::streamsize>(logits.size_bytes()));
    }));
    out << "wrote logits [" << ids.size() << ", " << vocab << "] to " << output_path << '\n';
    return absl::OkStatus();
  });
}

}  // namespace mokume
