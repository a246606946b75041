#include "quantize/synthesize.h"

#include <filesystem>
#include <memory>

#include "quantize/config_json.h"
#include "quantize/gguf_keys.h"
#include "quantize/part_writer.h"
#include "quantize/random_matrix.h"
#include "quantize/tokenizer_files.h"
#include "tokenizer/hf_tokenizer_writer.h"
#include "weights/output_file.h"

namespace mokume {
namespace {

class Synthesizer {
 public:
  Synthesizer(const SynthesizeOptions& options, const LoadedModel& loaded, const Family& family)
      : options_(options), loaded_(loaded), spec_(loaded.model->spec), family_(family) {}

  Result<SynthesizeSummary> run(Container container) {
    plan_ = make_plan(spec_, family_, options_.format, container);
    for (const PlannedPart& planned : plan_.parts) {
      const Part& part = planned.part;
      const TensorView& view = part.is_matrix() ? part.linear.weight : part.vector;
      summary_.parameters += static_cast<uint64_t>(view.rows() * view.columns());
    }
    MKM_RETURN_IF_ERROR(container == Container::kGguf ? write_gguf() : write_directory());
    return summary_;
  }

 private:
  Status write_gguf() {
    MKM_ASSIGN_OR_RETURN(std::vector<GgufKeyValue> keys,
                         gguf_model_keys(spec_, family_, options_.format));
    MKM_ASSIGN_OR_RETURN(std::vector<GgufKeyValue> tokenizer, gguf_tokenizer(loaded_));
    for (GgufKeyValue& pair : tokenizer) keys.push_back(std::move(pair));
    const std::vector<GgufTensor> tensors = gguf_tensors(plan_);
    MKM_RETURN_IF_ERROR(count(tensors, gguf_bytes));
    MKM_ASSIGN_OR_RETURN(const std::unique_ptr<WeightWriter> writer,
                         create_gguf_file(options_.output, keys, tensors));
    return write_parts(*writer);
  }

  Status write_directory() {
    MKM_ASSIGN_OR_RETURN(const TokenIds ids, token_ids(loaded_, ""));
    MKM_ASSIGN_OR_RETURN(const std::string config,
                         config_json(spec_, family_, plan_, options_.format, ids));
    const std::vector<SafetensorsTensor> tensors = directory_tensors(plan_);
    MKM_RETURN_IF_ERROR(count(tensors, safetensors_bytes));
    MKM_ASSIGN_OR_RETURN(OutputDirectory directory, OutputDirectory::create(options_.output));
    MKM_ASSIGN_OR_RETURN(const HfTokenizerFiles texts,
                         write_hf_tokenizer(loaded_.tokenizer->spec(), loaded_.chat_template));
    const std::pair<const char*, const std::string&> files[] = {
        {"config.json", config},
        {"tokenizer.json", texts.tokenizer_json},
        {"tokenizer_config.json", texts.tokenizer_config_json},
        {"generation_config.json", texts.generation_config_json}};
    for (const auto& [name, text] : files) {
      MKM_RETURN_IF_ERROR(write_whole_file(str_cat(directory.path(), "/", name), text));
    }
    MKM_ASSIGN_OR_RETURN(const std::unique_ptr<WeightWriter> writer,
                         create_safetensors_directory(directory.path(), tensors));
    MKM_RETURN_IF_ERROR(write_parts(*writer));
    return directory.finish();
  }

  template <typename Tensor>
  Status count(const std::vector<Tensor>& tensors, Result<uint64_t> (*bytes_of)(const Tensor&)) {
    for (const Tensor& tensor : tensors) {
      MKM_ASSIGN_OR_RETURN(const uint64_t bytes, bytes_of(tensor));
      summary_.bytes += bytes;
    }
    summary_.tensors = static_cast<int>(tensors.size());
    return absl::OkStatus();
  }

  Status write_parts(WeightWriter& writer) {
    const auto advance = [this](uint64_t bytes) { return this->advance(bytes); };
    PartWriterOptions vectors;
    vectors.source = loaded_.model->weights.get();
    vectors.advance = advance;
    PartWriter vector_writer(plan_, vectors, writer);
    const RandomMatrixOptions matrices{options_.seed, options_.threads, advance};
    for (const PlannedPart& planned : plan_.parts) {
      MKM_RETURN_IF_ERROR(planned.part.is_matrix() ? write_random_matrix(planned, matrices, writer)
                                                   : vector_writer.write(planned));
    }
    return writer.finish();
  }

  Status advance(uint64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, summary_.bytes);
    if (!options_.cancelled || !options_.cancelled()) return absl::OkStatus();
    return absl::CancelledError("[quantize] stopped; nothing was written");
  }

  const SynthesizeOptions& options_;
  const LoadedModel& loaded_;
  const ModelSpec& spec_;
  const Family& family_;
  OutputPlan plan_;
  SynthesizeSummary summary_;
  uint64_t done_ = 0;
};

}  // namespace

Result<SynthesizeSummary> synthesize(const SynthesizeOptions& options) {
  const bool gguf = options.output.ends_with(".gguf");
  const Container container = gguf ? Container::kGguf : Container::kDirectory;
  MKM_RETURN_IF_ERROR(check_format(options.format, container));
  std::error_code ignored;
  if (std::filesystem::exists(options.output, ignored)) {
    return absl::AlreadyExistsError(
        str_cat("[quantize] ", options.output, " is there already; remove it first"));
  }
  MKM_ASSIGN_OR_RETURN(const LoadedModel model,
                       make_synthetic_model(options.shape, options.layers, options.seed));
  MKM_ASSIGN_OR_RETURN(const Family family, find_family(model.model->spec.architecture));
  return Synthesizer(options, model, family).run(container);
}

}  // namespace mokume
