// The shards of a directory, found through the index that lists every tensor's file.
#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/escaping.h"
#include "weights/json_config.h"
#include "weights/safetensors.h"

namespace mokume {
namespace {

constexpr size_t kMaxShards = 1000;
constexpr std::string_view kWeightMap = "weight_map.";

using Shard = std::shared_ptr<SafetensorsFile>;

class Shards : public WeightSource {
 public:
  Shards(std::string path, std::map<std::string, Shard, std::less<>> tensors)
      : path_(std::move(path)), tensors_(std::move(tensors)) {}

  Result<TensorView> tensor(std::string_view name) const override {
    const auto found = tensors_.find(name);
    if (found != tensors_.end()) return found->second->tensor(name);
    return not_found("weights", "no tensor ", name, " (", path_, ")");
  }
  Result<std::vector<int64_t>> integers(std::string_view name) const override {
    const auto found = tensors_.find(name);
    if (found != tensors_.end()) return found->second->integers(name);
    return not_found("weights", "no tensor ", name, " (", path_, ")");
  }
  bool contains(std::string_view name) const override { return tensors_.contains(name); }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, shard] : tensors_) names.push_back(name);
    return names;
  }
  void release(const TensorView& tensor) const override {
    const auto found = tensors_.find(tensor.name);
    if (found != tensors_.end()) found->second->release(tensor);
  }
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const std::map<std::string, Shard, std::less<>> tensors_;
};

/// A name that stays in the directory.
bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name[0] != '.' &&
         std::ranges::all_of(name, [](char c) { return c >= ' ' && c <= '~' && c != '/'; });
}

/// Tensor to shard's file name, as the index says.
Result<std::map<std::string, std::string>> read_index(const JsonConfig& index) {
  std::map<std::string, std::string> files;
  for (const auto& [key, value] : index.values()) {
    if (!key.starts_with(kWeightMap)) continue;
    MKM_ASSIGN_OR_RETURN(std::string file, index.get_string(key));
    if (!is_file_name(file)) {
      return invalid_argument("weights", absl::CHexEscape(key), " is \"", absl::CHexEscape(file),
                              "\"; must be the name of a file in the directory (", index.path(),
                              ")");
    }
    files.emplace(key.substr(kWeightMap.size()), std::move(file));
  }
  if (!files.empty()) return files;
  return invalid_argument("weights", "no weight_map (", index.path(), ")");
}

Result<std::map<std::string, Shard>> open_shards(const std::filesystem::path& directory,
                                                 const std::map<std::string, std::string>& files) {
  std::map<std::string, Shard> shards;
  for (const auto& [tensor, file] : files) {
    if (shards.contains(file)) continue;
    if (shards.size() == kMaxShards) {
      return invalid_argument("weights", "more than ", kMaxShards, " shards (", directory.string(),
                              ")");
    }
    MKM_ASSIGN_OR_RETURN(Shard shard, SafetensorsFile::open((directory / file).string()));
    shards.emplace(file, std::move(shard));
  }
  return shards;
}

Status check_listed(const Shard& shard, const std::string& file,
                    const std::map<std::string, std::string>& files, const std::string& index) {
  for (const std::string& name : shard->names()) {
    const auto listed = files.find(name);
    if (listed != files.end() && listed->second == file) continue;
    return invalid_argument("weights", "tensor ", name, " is in ", shard->path(), ", but ", index,
                            listed == files.end() ? " does not list it" : " says another file");
  }
  return absl::OkStatus();
}

Result<std::shared_ptr<WeightSource>> open_index(const std::filesystem::path& directory,
                                                 const std::string& path) {
  MKM_ASSIGN_OR_RETURN(const JsonConfig index, JsonConfig::open(path));
  MKM_ASSIGN_OR_RETURN(const auto files, read_index(index));
  MKM_ASSIGN_OR_RETURN(const auto shards, open_shards(directory, files));
  for (const auto& [file, shard] : shards) {
    MKM_RETURN_IF_ERROR(check_listed(shard, file, files, path));
  }
  std::map<std::string, Shard, std::less<>> tensors;
  for (const auto& [tensor, file] : files) {
    const Shard& shard = shards.at(file);
    if (!shard->contains(tensor)) {
      return invalid_argument("weights", "tensor ", absl::CHexEscape(tensor), " is not in ",
                              shard->path(), ", where ", path, " says it is");
    }
    tensors.emplace(tensor, shard);
  }
  return std::make_shared<Shards>(path, std::move(tensors));
}

}  // namespace

Result<std::shared_ptr<WeightSource>> open_safetensors_directory(const std::string& directory) {
  const std::filesystem::path folder(directory);
  const std::string index = (folder / "model.safetensors.index.json").string();
  std::error_code ignored;
  if (std::filesystem::exists(index, ignored)) return open_index(folder, index);
  MKM_ASSIGN_OR_RETURN(Shard file, SafetensorsFile::open((folder / "model.safetensors").string()));
  return std::shared_ptr<WeightSource>(std::move(file));
}

}  // namespace mokume
