#include "model/hf_tokenizer_files.h"

#include "base/log.h"
#include "base/utf8.h"
#include "tokenizer/hf_tokenizer.h"
#include "tokenizer/hf_tokenizer_config.h"
#include "weights/mapped_file.h"

namespace mokume {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{4} << 20;

bool is_there_at(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

/// A file that need not be there; mapped, so that its size is checked before it is read.
class OptionalFile {
 public:
  static Result<OptionalFile> open(const std::filesystem::path& path) {
    OptionalFile file;
    file.path_ = path.string();
    if (!is_there_at(path)) return file;
    MKM_ASSIGN_OR_RETURN(file.file_, MappedFile::open(file.path_));
    return file;
  }

  bool is_there() const { return file_ != nullptr; }
  const std::string& path() const { return path_; }
  std::string_view text() const {
    const std::span<const std::byte> bytes = file_->bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::string path_;
  std::unique_ptr<MappedFile> file_;
};

void warn_of_other_tokenizers(const std::filesystem::path& directory) {
  for (const char* name : {"tokenizer.model", "vocab.json", "tekken.json"}) {
    if (!is_there_at(directory / name)) continue;
    log().warn(
        "{} is not read, and there is no tokenizer.json: the model takes and gives token "
        "ids only",
        (directory / name).string());
    return;
  }
}

/// Ids of the first of the two files that names any.
Status load_ends(const std::filesystem::path& directory, TokenizerSpec& spec) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    MKM_ASSIGN_OR_RETURN(const OptionalFile file, OptionalFile::open(directory / name));
    if (!file.is_there()) continue;
    MKM_ASSIGN_OR_RETURN(spec.end_of_generation, parse_eos_ids(file.text(), file.path()));
    for (const TokenId id : spec.end_of_generation) {
      if (static_cast<size_t>(id) < spec.tokens.size()) continue;
      return invalid_argument("model", "eos_token_id ", id, " is outside the vocabulary of ",
                              spec.tokens.size(), " (", file.path(), ")");
    }
    if (!spec.end_of_generation.empty()) return absl::OkStatus();
  }
  return absl::OkStatus();
}

Result<std::string> load_template(const std::filesystem::path& directory,
                                  const std::string& of_config) {
  MKM_ASSIGN_OR_RETURN(const OptionalFile file,
                       OptionalFile::open(directory / "chat_template.jinja"));
  if (!file.is_there()) return of_config;
  if (file.text().size() > kMaxTemplateBytes || find_invalid_utf8(file.text())) {
    return invalid_argument("model", "must be UTF-8 of at most ", kMaxTemplateBytes, " bytes (",
                            file.path(), ")");
  }
  return std::string(file.text());
}

/// Models have rows to spare: their ids are unused tokens.
Status fit_to_vocabulary(int64_t vocab_size, const std::string& path, TokenizerSpec& spec) {
  const auto rows = static_cast<size_t>(vocab_size);
  const size_t count = spec.tokens.size();
  if (count > rows) {
    return invalid_argument("model", "the greatest token id is ", count - 1,
                            ", but the model's vocab_size is ", rows, " (", path, ")");
  }
  for (size_t id = count; id < rows; ++id) spec.tokens.push_back(unused_token_text(id));
  spec.types.resize(rows, TokenizerSpec::TokenType::kUnused);
  return absl::OkStatus();
}

}  // namespace

Result<std::optional<HfTokenizer>> load_hf_tokenizer(const std::filesystem::path& directory,
                                                     int64_t vocab_size) {
  MKM_ASSIGN_OR_RETURN(const OptionalFile file, OptionalFile::open(directory / "tokenizer.json"));
  if (!file.is_there()) {
    warn_of_other_tokenizers(directory);
    return std::optional<HfTokenizer>();
  }
  HfTokenizer loaded;
  MKM_ASSIGN_OR_RETURN(loaded.spec, parse_tokenizer_json(file.text(), file.path()));
  MKM_RETURN_IF_ERROR(fit_to_vocabulary(vocab_size, file.path(), loaded.spec));
  HfTokenizerConfig config;
  MKM_ASSIGN_OR_RETURN(const OptionalFile config_file,
                       OptionalFile::open(directory / "tokenizer_config.json"));
  if (config_file.is_there()) {
    MKM_ASSIGN_OR_RETURN(config, parse_tokenizer_config(config_file.text(), config_file.path()));
  }
  MKM_RETURN_IF_ERROR(apply_tokenizer_config(config, config_file.path(), loaded.spec));
  MKM_RETURN_IF_ERROR(load_ends(directory, loaded.spec));
  MKM_ASSIGN_OR_RETURN(loaded.chat_template, load_template(directory, config.chat_template));
  return std::optional(std::move(loaded));
}

}  // namespace mokume
