#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/text.h"
#include "placement/placement.h"

namespace mokume {
namespace {

using Row = std::vector<std::string>;

constexpr size_t kDeviceColumn = 1;  // the one that is a name, not a number

bool has_states(const PlacementPlan& plan) {
  return std::ranges::any_of(plan.stages, [](const StageSpec& s) { return s.state_bytes > 0; });
}

bool converts(const PlacementPlan& plan) {
  return std::ranges::any_of(plan.stages,
                             [](const StageSpec& s) { return s.weights != WeightFormat::kKeep; });
}

Row row_of(const PlacementPlan& plan, size_t index) {
  const StageSpec& stage = plan.stages[index];
  const uint64_t kv_bytes = stage.kv_page_bytes * static_cast<uint64_t>(plan.kv_pages);
  Row row = {str_cat(index), stage.device, str_cat(stage.first_layer, "-", stage.last_layer - 1),
             format_bytes(stage.weight_bytes),
             kv_bytes > 0 ? str_cat(format_bytes(kv_bytes), " ", kv_type_name(stage.kv)) : "0 B"};
  const uint64_t states = stage.state_bytes * static_cast<uint64_t>(plan.max_sequences);
  if (has_states(plan)) row.push_back(format_bytes(states));
  if (converts(plan)) row.emplace_back(weight_format_name(stage.weights));
  return row;
}

std::string line_of(const Row& row, const std::vector<int>& widths) {
  std::string line;
  for (size_t column = 0; column < row.size(); ++column) {
    const int width = column == kDeviceColumn ? -widths[column] : widths[column];
    absl::StrAppendFormat(&line, "%s%*s", column == 0 ? "" : "  ", width, row[column]);
  }
  return line + "\n";
}

}  // namespace

std::string to_string(const PlacementPlan& plan, const ModelSpec& spec) {
  std::vector<Row> rows = {{"stage", "device", "layers", "weights", "KV"}};
  if (has_states(plan)) rows[0].push_back("states");
  if (converts(plan)) rows[0].push_back("format");
  for (size_t i = 0; i < plan.stages.size(); ++i) rows.push_back(row_of(plan, i));
  std::vector<int> widths(rows[0].size());
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], static_cast<int>(row[column].size()));
    }
  }
  std::string out =
      absl::StrFormat("%s: %d layers, context %d of %d tokens, %d KV pages of %d tokens",
                      quote(spec.name), static_cast<int>(spec.layers.size()), plan.context_length,
                      spec.context_length, plan.kv_pages, plan.page_tokens);
  if (has_states(plan)) {
    absl::StrAppendFormat(&out, ", states of %d sequences", plan.max_sequences);
  }
  out += "\n";
  for (const Row& row : rows) out += line_of(row, widths);
  return out;
}

}  // namespace mokume
