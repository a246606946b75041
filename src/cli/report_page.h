// The page of a quantization's report.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mokume {

/// One HTML file that needs no other, readable on light and dark backgrounds. `report` is what
/// report.json holds.
std::string report_page(const nlohmann::ordered_json& report);

}  // namespace mokume
