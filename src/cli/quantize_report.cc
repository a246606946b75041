#include "cli/quantize_report.h"

#include <cmath>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/eval.h"
#include "cli/files.h"
#include "cli/report_page.h"
#include "model/linear.h"
#include "quantize/parallel.h"
#include "quantize/plan.h"

namespace mokume {
namespace {

using Json = nlohmann::ordered_json;

/// Sums over a matrix, or several.
struct Deviation {
  double error = 0, square = 0;

  void add(const Deviation& other) {
    error += other.error;
    square += other.square;
  }
  double relative() const { return square > 0 ? std::sqrt(error / square) : 0; }
};

// The matrix as written against the source, in the file's order.
Result<Deviation> compare(const MatrixRows& before, const Linear& after, int threads) {
  if (before.rows() != after.weight.rows() || before.columns() != after.weight.columns()) {
    return internal_error("report", to_string(after.weight),
                          " is of another shape than its source");
  }
  Deviation sum;
  std::mutex mutex;
  const auto add = [&](int64_t row, std::span<float> expected) -> Status {
    MKM_RETURN_IF_ERROR(before.read(row, expected));
    std::vector<float> found(expected.size());
    dequantize_linear_row(after, row, found);
    Deviation deviation;
    for (size_t i = 0; i < found.size(); ++i) {
      deviation.error += std::pow(double{found[i]} - expected[i], 2);
      deviation.square += std::pow(double{expected[i]}, 2);
    }
    const std::lock_guard lock(mutex);
    sum.add(deviation);
    return absl::OkStatus();
  };
  MKM_RETURN_IF_ERROR(for_each_row(before.rows(), before.columns(), threads, add));
  return sum;
}

/// Bytes of the same model when its projections take `projection` bytes a weight and everything
/// else `other`.
uint64_t bytes_as(const std::vector<Part>& parts, uint64_t projection, uint64_t other) {
  uint64_t bytes = 0;
  for (const Part& part : parts) {
    const TensorView& tensor = part.is_matrix() ? part.linear.weight : part.vector;
    const auto count =
        static_cast<uint64_t>(tensor.rows()) * static_cast<uint64_t>(tensor.columns());
    bytes += count * (is_projection(part.role) ? projection : other);
  }
  return bytes;
}

Json sizes(const std::vector<Part>& parts, const QuantizeSummary& summary) {
  return {{"before", summary.bytes_before},
          {"after", summary.bytes_after},
          {"as_float32", bytes_as(parts, 4, 4)},
          {"as_float16", bytes_as(parts, 2, 2)},
          {"as_fp8", bytes_as(parts, 1, 2)}};
}

// "q_proj"
std::string short_name(const Part& part) {
  const std::string name = hf_name(part);
  return name.substr(name.rfind('.') + 1);
}

// Parts of both models come in the same order, but for those that only one of the formats has.
const Part* find(const std::vector<Part>& parts, const Part& wanted) {
  for (const Part& part : parts) {
    if (part.role == wanted.role && part.layer == wanted.layer && part.is_matrix()) return &part;
  }
  return nullptr;
}

Result<Json> matrices(const QuantizeReportInputs& inputs, const ModelSpec& after) {
  const ModelSpec& before = inputs.before.model->spec;
  MKM_ASSIGN_OR_RETURN(const Family family, find_family(before.architecture));
  const bool gguf = inputs.command.output.ends_with(".gguf");
  const Conventions& conventions = gguf ? family.in_gguf : family.in_hf;
  const std::vector<Part> written = parts_of(after);
  Deviation all;
  Json list = Json::array();
  for (const Part& part : parts_of(before)) {
    const Part* now = part.is_matrix() ? find(written, part) : nullptr;
    if (!now) continue;
    MKM_ASSIGN_OR_RETURN(
        const Deviation deviation,
        compare({part.linear, order_for(part, conventions)}, now->linear, inputs.threads));
    if (is_projection(part.role)) all.add(deviation);
    list.push_back({{"name", now->linear.weight.name},
                    {"layer", part.layer},
                    {"role", short_name(part)},
                    {"projection", is_projection(part.role)},
                    {"rows", now->linear.weight.rows()},
                    {"columns", now->linear.weight.columns()},
                    {"type_before", dtype_info(part.linear.weight.dtype).name},
                    {"type_after", dtype_info(now->linear.weight.dtype).name},
                    {"bytes_before", part.linear.weight.bytes + part.linear.scales.bytes},
                    {"bytes_after", now->linear.weight.bytes + now->linear.scales.bytes},
                    {"relative_error", deviation.relative()}});
  }
  return Json{{"relative_error_of_projections", all.relative()}, {"matrices", std::move(list)}};
}

Result<Perplexity> measure(const QuantizeReportInputs& inputs, const std::string& model,
                           std::span<const int32_t> ids) {
  EvalOptions options;
  options.config = default_config(model, inputs.command.threads);
  options.progress = inputs.command.progress;
  return measure_perplexity(options, ids, inputs.command.context);
}

Result<Json> perplexities(const QuantizeReportInputs& inputs) {
  const QuantizeCommand& command = inputs.command;
  if (command.text.empty()) return Json();
  MKM_ASSIGN_OR_RETURN(const std::string text, read_file(command.text, kMaxTextBytes));
  if (!inputs.before.tokenizer)
    return invalid_argument("report", command.input, " has no tokenizer, which --text needs");
  MKM_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, inputs.before.tokenizer->encode(text, {}));
  MKM_ASSIGN_OR_RETURN(const Perplexity before, measure(inputs, command.input, ids));
  MKM_ASSIGN_OR_RETURN(const Perplexity after, measure(inputs, command.output, ids));
  return Json{{"text", command.text},    {"context", command.context},
              {"chunks", before.chunks}, {"tokens_scored", before.tokens_scored},
              {"before", before.value},  {"after", after.value}};
}

Status write_text(const std::string& path, const std::string& text) {
  return write_file(path, [&](std::ostream& file) {
    file << text;
    return absl::OkStatus();
  });
}

}  // namespace

Status write_quantize_report(const QuantizeReportInputs& inputs) {
  const QuantizeCommand& command = inputs.command;
  std::error_code error;
  std::filesystem::create_directories(command.report, error);
  if (error) {
    return invalid_argument("report", "cannot make the folder: ", error.message(), " (",
                            command.report, ")");
  }
  MKM_ASSIGN_OR_RETURN(const LoadedModel after, load_model(command.output));
  Json report = {{"model", inputs.before.model->spec.name},
                 {"input", command.input},
                 {"output", command.output},
                 {"format", command.format}};
  if (!command.calibrate.empty())
    report["calibration"] = {{"text", command.calibrate}, {"tokens", inputs.calibration_tokens}};
  report["bytes"] = sizes(parts_of(inputs.before.model->spec), inputs.summary);
  MKM_ASSIGN_OR_RETURN(Json errors, matrices(inputs, after.model->spec));
  report.update(errors);
  MKM_ASSIGN_OR_RETURN(Json perplexity, perplexities(inputs));
  if (!perplexity.is_null()) report["perplexity"] = std::move(perplexity);
  const auto replace = nlohmann::json::error_handler_t::replace;
  MKM_RETURN_IF_ERROR(
      write_text(command.report + "/report.json", report.dump(2, ' ', false, replace) + "\n"));
  return write_text(command.report + "/report.html", report_page(report));
}

}  // namespace mokume
