#include "cli/report_page.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/text.h"

namespace mokume {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ink: #1c1f23; --soft: #5b6470; --ground: #ffffff; --line: #d9dee4;
        --bar: #3d6fb4; --kept: #b8c4d3; --heat: 214 94 0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa5b1; --ground: #15181c; --line: #343b44;
          --bar: #6d9fe0; --kept: #47525f; --heat: 240 140 60; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 72rem; background: var(--ground); color: var(--ink);
       font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p, caption { color: var(--soft); } code { overflow-wrap: anywhere; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: .35rem .8rem; align-items: center; }
.bars i { display: block; height: 1.1rem; min-width: 1px; background: var(--kept); border-radius: 2px; }
.bars i.now { background: var(--bar); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .5rem; border: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; } td.name { text-align: left; }
)";

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string text_of(const Json& value) { return escape(value.get<std::string>()); }

template <typename... Args>
std::string format(const char* how, Args... args) {
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), how, args...);
  return buffer;
}

struct Bar {
  std::string label;
  double value = 0;
  std::string text;
  bool now = false;
};

std::string bars(const std::vector<Bar>& list) {
  double largest = 0;
  for (const Bar& bar : list) largest = std::max(largest, bar.value);
  std::string out = "<div class=\"bars\">\n";
  for (const Bar& bar : list) {
    out += str_cat("<span>", escape(bar.label), "</span><i", bar.now ? " class=\"now\"" : "",
                   " style=\"width:", format("%.1f", largest > 0 ? 100 * bar.value / largest : 0),
                   "%\"></i><span>", escape(bar.text), "</span>\n");
  }
  return out + "</div>\n";
}

std::string size_section(const Json& report) {
  const Json& bytes = report["bytes"];
  const auto after = bytes["after"].get<double>();
  std::vector<Bar> list;
  const auto add = [&](const std::string& label, const char* key) {
    const auto value = bytes[key].get<uint64_t>();
    const double change = value > 0 ? 100 * (after / static_cast<double>(value) - 1) : 0;
    const bool now = std::string_view(key) == "after";
    list.push_back({label, static_cast<double>(value),
                    format_bytes(value) + (now ? "" : format(" (%+.1f%%)", change)), now});
  };
  add("all in float32", "as_float32");
  add("all in float16", "as_float16");
  add("projections in fp8, the rest in float16", "as_fp8");
  add("the input", "before");
  add(str_cat("the output, ", report["format"].get<std::string>()), "after");
  return "<h2>Size</h2>\n<p>Bytes of all tensors. In brackets: how much smaller or larger the "
         "output is. The "
         "share of a model that its format does not touch (embedding, head, norms) counts.</p>\n" +
         bars(list);
}

std::string perplexity_section(const Json& report) {
  if (!report.contains("perplexity")) return "";
  const Json& measured = report["perplexity"];
  const auto before = measured["before"].get<double>(), after = measured["after"].get<double>();
  return str_cat(
      "<h2>Perplexity</h2>\n<p>Of <code>", text_of(measured["text"]), "</code>, ",
      measured["tokens_scored"].get<int>(), " tokens scored in chunks of ",
      measured["context"].get<int>(), ". Lower is better.</p>\n",
      bars({{"the input", before, format("%.3f", before), false},
            {"the output", after, format("%.3f (x%.4f)", after, after / before), true}}));
}

// A row a layer, a column a role; the darker, the larger the error.
std::string heat_map(const Json& matrices, double largest) {
  std::vector<std::string> roles;
  int layers = 0;
  for (const Json& matrix : matrices) {
    if (matrix["layer"].get<int>() < 0) continue;
    layers = std::max(layers, matrix["layer"].get<int>() + 1);
    const auto role = matrix["role"].get<std::string>();
    if (std::find(roles.begin(), roles.end(), role) == roles.end()) roles.push_back(role);
  }
  std::vector<std::vector<std::string>> cells(static_cast<size_t>(layers),
                                              std::vector<std::string>(roles.size(), "<td></td>"));
  for (const Json& matrix : matrices) {
    if (matrix["layer"].get<int>() < 0) continue;
    const auto role = std::find(roles.begin(), roles.end(), matrix["role"].get<std::string>());
    const auto error = matrix["relative_error"].get<double>();
    cells[matrix["layer"].get<size_t>()][static_cast<size_t>(role - roles.begin())] =
        str_cat("<td title=\"", text_of(matrix["name"]), ", ", text_of(matrix["type_after"]),
                "\" style=\"background:rgb(var(--heat) / ",
                format("%.2f", largest > 0 ? 0.75 * error / largest : 0), ")\">",
                format("%.4f", error), "</td>");
  }
  std::string out = "<div class=\"scroll\"><table>\n<tr><th>layer</th>";
  for (const std::string& role : roles) out += str_cat("<th>", escape(role), "</th>");
  out += "</tr>\n";
  for (int layer = 0; layer < layers; ++layer) {
    out += str_cat("<tr><th>", layer, "</th>");
    for (const std::string& cell : cells[static_cast<size_t>(layer)]) out += cell;
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string outside_layers(const Json& matrices) {
  std::string rows;
  for (const Json& matrix : matrices) {
    if (matrix["layer"].get<int>() >= 0) continue;
    rows += str_cat("<tr><td class=\"name\">", text_of(matrix["name"]), "</td><td>",
                    text_of(matrix["type_before"]), "</td><td>", text_of(matrix["type_after"]),
                    "</td><td>", format("%.4f", matrix["relative_error"].get<double>()),
                    "</td></tr>\n");
  }
  if (rows.empty()) return "";
  return "<h2>Outside the layers</h2>\n<table>\n<tr><th>tensor</th><th>from</th><th>to</th>"
         "<th>error</th></tr>\n" +
         rows + "</table>\n";
}

std::string error_section(const Json& report) {
  const Json& matrices = report["matrices"];
  double largest = 0;
  for (const Json& matrix : matrices)
    largest = std::max(largest, matrix["relative_error"].get<double>());
  return str_cat(
      "<h2>Error of the weights</h2>\n<p>Root of the squared error over the squares, of every "
      "matrix in the output against the input. Over all projections: ",
      format("%.4f", report["relative_error_of_projections"].get<double>()),
      ". Calibration minds what a matrix does to the activations, not this figure.</p>\n",
      heat_map(matrices, largest), outside_layers(matrices));
}

}  // namespace

std::string report_page(const Json& report) {
  std::string calibration;
  if (report.contains("calibration")) {
    calibration = str_cat(", calibrated on ", report["calibration"]["tokens"].get<int>(),
                          " tokens of <code>", text_of(report["calibration"]["text"]), "</code>");
  }
  const std::string title = str_cat(text_of(report["model"]), " in ", text_of(report["format"]));
  return str_cat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", title,
      "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>", title, "</h1>\n<p><code>",
      text_of(report["input"]), "</code> &rarr; <code>", text_of(report["output"]), "</code>",
      calibration, "</p>\n", size_section(report), perplexity_section(report),
      error_section(report), "</body>\n</html>\n");
}

}  // namespace mokume
