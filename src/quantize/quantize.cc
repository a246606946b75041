#include "quantize/quantize.h"

#include <filesystem>
#include <memory>

#include "base/log.h"
#include "quantize/config_json.h"
#include "quantize/gguf_keys.h"
#include "quantize/part_writer.h"
#include "quantize/tokenizer_files.h"
#include "weights/output_file.h"

namespace mokume {
namespace {

uint64_t source_bytes(const OutputPlan& plan) {
  uint64_t bytes = 0;
  for (const PlannedPart& planned : plan.parts) {
    bytes +=
        planned.part.is_matrix() ? planned.part.linear.weight.bytes : planned.part.vector.bytes;
  }
  return bytes;
}

/// One run: what it reads, how far it is.
class Quantizer {
 public:
  Quantizer(const QuantizeOptions& options, const LoadedModel& loaded)
      : options_(options), loaded_(loaded), spec_(loaded.model->spec) {}

  Result<QuantizeSummary> run() {
    const bool gguf = options_.output.ends_with(".gguf");
    const Container container = gguf ? Container::kGguf : Container::kDirectory;
    MKM_RETURN_IF_ERROR(check_format(options_.format, container));
    MKM_RETURN_IF_ERROR(check_absent());
    MKM_ASSIGN_OR_RETURN(family_, find_family(spec_.architecture));
    plan_ = make_plan(spec_, family_, options_.format, container);
    summary_.bytes_before = source_bytes(plan_);
    MKM_RETURN_IF_ERROR(gguf ? write_gguf() : write_directory());
    return summary_;
  }

 private:
  Status check_absent() const {
    std::error_code ignored;
    if (!std::filesystem::exists(options_.output, ignored)) return absl::OkStatus();
    return absl::AlreadyExistsError(
        str_cat("[quantize] ", options_.output, " is there already; remove it first"));
  }

  Status write_gguf() {
    MKM_ASSIGN_OR_RETURN(std::vector<GgufKeyValue> keys,
                         gguf_model_keys(spec_, family_, options_.format));
    MKM_ASSIGN_OR_RETURN(std::vector<GgufKeyValue> tokenizer, gguf_tokenizer(loaded_));
    summary_.has_tokenizer = tokenizer.size() > 1;
    keys.insert(keys.end(), std::make_move_iterator(tokenizer.begin()),
                std::make_move_iterator(tokenizer.end()));
    const std::vector<GgufTensor> tensors = gguf_tensors(plan_);
    for (const GgufTensor& tensor : tensors) {
      MKM_ASSIGN_OR_RETURN(const uint64_t bytes, gguf_bytes(tensor));
      summary_.bytes_after += bytes;
    }
    summary_.tensors = static_cast<int>(tensors.size());
    MKM_ASSIGN_OR_RETURN(const std::unique_ptr<WeightWriter> writer,
                         create_gguf_file(options_.output, keys, tensors));
    return write_parts(*writer);
  }

  Status write_directory() {
    MKM_ASSIGN_OR_RETURN(const TokenIds ids, token_ids(loaded_, options_.input));
    MKM_ASSIGN_OR_RETURN(const std::string config,
                         config_json(spec_, family_, plan_, options_.format, ids));
    const std::vector<SafetensorsTensor> tensors = directory_tensors(plan_);
    for (const SafetensorsTensor& tensor : tensors) {
      MKM_ASSIGN_OR_RETURN(const uint64_t bytes, safetensors_bytes(tensor));
      summary_.bytes_after += bytes;
    }
    summary_.tensors = static_cast<int>(tensors.size());
    MKM_ASSIGN_OR_RETURN(OutputDirectory directory, OutputDirectory::create(options_.output));
    MKM_RETURN_IF_ERROR(write_whole_file(directory.path() + "/config.json", config));
    MKM_ASSIGN_OR_RETURN(summary_.has_tokenizer,
                         write_tokenizer_files(loaded_, options_.input, directory.path(), ids));
    MKM_ASSIGN_OR_RETURN(const std::unique_ptr<WeightWriter> writer,
                         create_safetensors_directory(directory.path(), tensors));
    MKM_RETURN_IF_ERROR(write_parts(*writer));
    return directory.finish();
  }

  Status write_parts(WeightWriter& writer) {
    PartWriterOptions options;
    options.encoder = options_.encoder;
    options.threads = options_.threads;
    options.source = loaded_.model->weights.get();
    options.advance = [this](uint64_t bytes) { return advance(bytes); };
    PartWriter parts(plan_, options, writer);
    for (const PlannedPart& planned : plan_.parts) MKM_RETURN_IF_ERROR(parts.write(planned));
    return writer.finish();
  }

  Status advance(uint64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, summary_.bytes_before);
    if (!options_.cancelled || !options_.cancelled()) return absl::OkStatus();
    return absl::CancelledError("[quantize] stopped; nothing was written");
  }

  const QuantizeOptions& options_;
  const LoadedModel& loaded_;
  const ModelSpec& spec_;
  Family family_;
  OutputPlan plan_;
  QuantizeSummary summary_;
  uint64_t done_ = 0;
};

}  // namespace

Result<QuantizeSummary> quantize(const QuantizeOptions& options, const LoadedModel& model) {
  return Quantizer(options, model).run();
}

}  // namespace mokume
