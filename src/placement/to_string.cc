#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "base/text.h"
#include "placement/placement.h"

namespace mokume {
namespace {

using Row = std::array<std::string, 5>;

Row row_of(const PlacementPlan& plan, size_t index) {
  const StageSpec& stage = plan.stages[index];
  const uint64_t kv_bytes = stage.kv_page_bytes * static_cast<uint64_t>(plan.kv_pages);
  return {str_cat(index), stage.device, str_cat(stage.first_layer, "-", stage.last_layer - 1),
          format_bytes(stage.weight_bytes), format_bytes(kv_bytes)};
}

}  // namespace

std::string to_string(const PlacementPlan& plan, const ModelSpec& spec) {
  std::vector<Row> rows = {{"stage", "device", "layers", "weights", "KV"}};
  for (size_t i = 0; i < plan.stages.size(); ++i) rows.push_back(row_of(plan, i));
  std::array<int, 5> widths{};
  for (const Row& row : rows) {
    for (size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], static_cast<int>(row[column].size()));
    }
  }
  std::string out =
      absl::StrFormat("%s: %d layers, context %d of %d tokens, %d KV pages of %d tokens\n",
                      quote(spec.name), static_cast<int>(spec.layers.size()), plan.context_length,
                      spec.context_length, plan.kv_pages, plan.page_tokens);
  for (const Row& row : rows) {
    absl::StrAppendFormat(&out, "%*s  %-*s  %*s  %*s  %*s\n", widths[0], row[0], widths[1], row[1],
                          widths[2], row[2], widths[3], row[3], widths[4], row[4]);
  }
  return out;
}

}  // namespace mokume
