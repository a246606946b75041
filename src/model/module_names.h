// Sets of modules, as the settings of quantized checkpoints list them.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace re2 {
class RE2;
}

namespace mokume {

/// Patterns come from files: their number, length and the time of a match are bounded, the last
/// linear in pattern and name.
class ModuleNames {
 public:
  /// How closely a name was meant; a greater one is closer.
  enum class Match { kNone, kClass, kPattern, kExact };

  ModuleNames();
  ~ModuleNames();
  ModuleNames(ModuleNames&&) noexcept;
  ModuleNames& operator=(ModuleNames&&) noexcept;

  /// An entry of compressed-tensors (utils/match.py): "re:" and a regular expression that matches
  /// from the name's beginning, a module's full name, or the class "Linear". Errors are without
  /// the file's name.
  Status add(std::string_view entry);
  /// An entry of ModelOpt: a module's full name or a glob of * and ?, for that module and all in
  /// it.
  Status add_glob(std::string_view glob);

  /// For the full name of a linear layer, "model.layers.3.mlp.up_proj".
  Match match(std::string_view name) const;

 private:
  using Names = std::set<std::string, std::less<>>;
  static Status add_name(std::string_view name, Names& names);
  Status add_pattern(std::string_view entry, const std::string& pattern);

  bool all_linear_ = false;
  Names exact_;
  Names above_;  ///< modules with all in them
  std::vector<std::unique_ptr<re2::RE2>> patterns_;
};

}  // namespace mokume
