// docs/configuration.md names every key that the code accepts, and no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "base/text.h"
#include "config/config.h"

namespace mokume {
namespace {

/// A file in which `section` holds only a key that no key is near to: the error lists those that
/// are known.
std::string probe(const std::string& section) {
  const std::string unknown = "{zzzzzzzzzzzzzzzzzzzzzzzz: 1}";
  if (section.empty()) return unknown;
  std::string yaml = unknown;
  std::string rest = section;
  while (!rest.empty()) {
    const size_t dot = rest.rfind('.');
    std::string key = dot == std::string::npos ? rest : rest.substr(dot + 1);
    rest = dot == std::string::npos ? "" : rest.substr(0, dot);
    const bool list = key.size() > 2 && key.ends_with("[]");
    if (list) key.resize(key.size() - 2);
    yaml = "{" + key + ": " + (list ? "[" + yaml + "]" : yaml) + "}";
  }
  return yaml;
}

std::vector<std::string> known_keys(const std::string& section) {
  const Result<Config> config = parse_config(probe(section), "f.yaml");
  const std::string message(config.status().message());
  std::smatch match;
  if (!std::regex_search(message, match, std::regex("known keys: ([a-z_, ]+) \\("))) {
    ADD_FAILURE() << section << ": " << message;
    return {};
  }
  std::vector<std::string> keys;
  std::istringstream list(match[1].str());
  for (std::string key; std::getline(list, key, ',');) keys.emplace_back(trim(key));
  return keys;
}

/// Every path that holds a value, where `sections` are the paths that hold keys.
std::set<std::string> accepted_keys(const std::vector<std::string>& sections) {
  std::set<std::string> all;
  for (const std::string& section : sections) {
    for (const std::string& key : known_keys(section))
      all.insert(section.empty() ? key : section + "." + key);
  }
  return all;
}

std::set<std::string> documented_keys() {
  std::ifstream file(MOKUME_SOURCE_DIR "/docs/configuration.md");
  std::set<std::string> keys;
  const std::regex row(R"(^\| `([a-z_.\[\]]+)` \|.*)");
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (std::regex_match(line, match, row)) keys.insert(match[1]);
  }
  return keys;
}

TEST(Documentation, NamesEveryKeyAndNoOther) {
  const std::vector<std::string> sections = {"",
                                             "model",
                                             "server",
                                             "server.http",
                                             "server.grpc",
                                             "devices[]",
                                             "placement",
                                             "scheduler",
                                             "scheduler.kv_cache",
                                             "log",
                                             "placement.stages[]"};
  std::set<std::string> accepted = accepted_keys(sections);
  for (std::string section : sections) {
    if (section == "placement.stages[]") continue;  // documented as a key as well
    if (section.ends_with("[]")) section.resize(section.size() - 2);
    accepted.erase(section);
  }
  EXPECT_EQ(documented_keys(), accepted);
}

}  // namespace
}  // namespace mokume
