#include "model/load_spec.h"

#include <array>

#include "absl/strings/escaping.h"

namespace mokume {
namespace {

struct Family {
  std::string_view name;  ///< general.architecture
  Result<ModelSpec> (*load)(const GgufFile& file);
};

constexpr std::array kFamilies = {
    Family{"llama", load_llama},
    Family{"qwen2", load_qwen2},
    Family{"qwen3", load_qwen3},
    Family{"qwen35", load_qwen3_5},
};

}  // namespace

Result<ModelSpec> load_spec(const GgufFile& file) {
  MKM_ASSIGN_OR_RETURN(const std::string name, file.get_string("general.architecture"));
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.name == name) return family.load(file);
    known += str_cat(known.empty() ? "" : ", ", family.name);
  }
  return invalid_argument("model", "architecture \"", absl::CHexEscape(name),
                          "\" is not supported; supported are ", known, " (", file.path(), ")");
}

}  // namespace mokume
