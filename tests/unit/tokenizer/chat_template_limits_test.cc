// Hostile templates: each is a clear error, soon.
#include <gtest/gtest.h>

#include <chrono>

#include "tokenizer/chat_template.h"

namespace mokume {
namespace {

Status outcome(const std::string& source, const TemplateLimits& limits = {},
               const nlohmann::ordered_json& context = nlohmann::ordered_json::object()) {
  const auto parsed = ChatTemplate::parse(source);
  if (!parsed.ok()) return parsed.status();
  return (*parsed)->render(context, limits).status();
}

std::string repeated(const std::string& part, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += part;
  return out;
}

class Hostile : public testing::TestWithParam<std::string> {};

TEST_P(Hostile, IsALimitSoon) {
  const auto begin = std::chrono::steady_clock::now();
  const Status status = outcome(GetParam());
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_LT(took, std::chrono::seconds(20));  // a few seconds with sanitizers, under one without
}

INSTANTIATE_TEST_SUITE_P(
    Templates, Hostile,
    testing::Values(
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) "
        "}}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 9 }}", "{{ 'a' * 10 ** 18 }}", "{{ [1] * 10 ** 15 }}",
        "{{ range(10 ** 12) | list }}", "{{ range(-9223372036854775807, 9223372036854775807) }}",
        "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
        "{% endfor %}",
        "{% set ns = namespace(x=[1, 2]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
        "{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}"
        "{% endfor %}",
        // A small value that prints, compares and hashes as one of 2 ** 100 items.
        "{% set ns = namespace(x=(1,)) %}{% for i in range(100) %}{% set ns.x = (ns.x, ns.x) %}"
        "{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=(1,), y=(1,)) %}{% for i in range(100) %}"
        "{% set ns.x = (ns.x, ns.x) %}{% set ns.y = (ns.y, ns.y) %}{% endfor %}{{ ns.x == ns.y }}",
        "{% set ns = namespace(x=(1,)) %}{% for i in range(100) %}{% set ns.x = (ns.x, ns.x) %}"
        "{% endfor %}{{ {ns.x: 1} }}",
        "{% set ns = namespace(x=(1,)) %}{% for i in range(100) %}{% set ns.x = (ns.x, ns.x) %}"
        "{% endfor %}{{ ns.x | tojson }}",
        "{% set s = 'a' * 1000000 %}{% for i in range(99999) %}{{ s | length }}{% endfor %}",
        "{% set s = 'a' * 1000000 %}{% set t = 'a' * 500000 ~ 'b' %}{% for i in range(99999) %}"
        "{{ t in s }}{% endfor %}",
        "{{ ('a' * 1000000) | replace('a', 'b' * 1000) }}",
        "{{ ('a' * 1000000) | replace('', 'bcd' * 99) }}", "{{ ('a\n' * 1000000) | indent(1000) }}",
        "{{ 'x' | indent(10 ** 12) }}", "{{ ('a' * 9000000) }}", "{{ (',' * 9000000).split(',') }}",
        "{{ ('x' * 9000000) | list }}", "{{ (['a' * 100000] * 1000) | join }}",
        "{% for i in range(99999) %}{% set ns = namespace(a=1) %}{% macro m() %}{% endmacro %}"
        "{% for j in range(9999) %}{% set ns = namespace(a=1) %}{% endfor %}{% endfor %}"));

TEST(ChatTemplateLimits, RefusesDeepSource) {
  constexpr size_t kDeep = 100'000;
  for (const auto& source :
       {"{{ " + repeated("(", kDeep) + "1" + repeated(")", kDeep) + " }}",
        "{{ " + repeated("[", kDeep) + repeated("]", kDeep) + " }}",
        "{{ " + repeated("{1:", kDeep) + "1" + repeated("}", kDeep) + " }}",
        "{{ " + repeated("- ", kDeep) + "1 }}", "{{ " + repeated("not ", kDeep) + "1 }}",
        "{{ 1" + repeated(" if 1 else 1", kDeep) + " }}", "{{ x" + repeated(".a", kDeep) + " }}",
        "{{ x" + repeated("[0]", kDeep) + " }}", "{{ x" + repeated("|abs", kDeep) + " }}",
        "{{ x" + repeated("(1)", kDeep) + " }}", "{{ " + repeated("f(a=", kDeep) + " }}",
        "{{ x" + repeated(" is defined", kDeep) + " }}", repeated("{% if 1 %}", kDeep),
        repeated("{% for i in x %}", kDeep), "{% for " + repeated("(", kDeep) + " %}",
        "{{ '' " + repeated("if 1 ", kDeep) + " }}"}) {
    const Status status = outcome(source);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_NE(status.message().find("line 1, column"), absl::string_view::npos) << status;
  }
}

TEST(ChatTemplateLimits, TakesLongFlatSource) {
  EXPECT_TRUE(outcome(repeated("text {{ 1 }} ", 80'000)).ok());  // 1 MB
  EXPECT_TRUE(outcome("{{ 1" + repeated(" + 1", 100'000) + " }}").ok());
  EXPECT_TRUE(outcome("{% if 0 %}" + repeated("{% elif 0 %}", 50'000) + "{% endif %}").ok());
  EXPECT_TRUE(outcome("{{ [" + repeated("1,", 100'000) + "] | length }}").ok());
  EXPECT_FALSE(outcome(repeated("x", 5u << 20)).ok());
}

TEST(ChatTemplateLimits, ChecksIntegers) {
  for (const char* source :
       {"{{ 9223372036854775807 + 1 }}", "{{ 10 ** 19 }}", "{{ 3037000500 * 3037000500 }}",
        "{{ (-9223372036854775807 - 1) // -1 }}", "{{ -(-9223372036854775807 - 1) }}",
        "{{ (-9223372036854775807 - 1) | abs }}", "{{ 99999999999999999999 }}",
        "{{ 1e300 | int }}"}) {
    EXPECT_EQ(outcome(source).code(), absl::StatusCode::kInvalidArgument) << source;
  }
  EXPECT_TRUE(outcome("{{ (-9223372036854775807 - 1) % -1 }}").ok());
  EXPECT_TRUE(
      outcome("{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}").ok());
  EXPECT_TRUE(outcome("{{ 'abc'[::-9223372036854775807 - 1] }}").ok());
}

TEST(ChatTemplateLimits, HoldsWhatTheCallerAllows) {
  TemplateLimits limits;
  limits.max_output_bytes = 3;
  EXPECT_TRUE(outcome("abc", limits).ok());
  EXPECT_EQ(outcome("abcd", limits).code(), absl::StatusCode::kResourceExhausted);
  limits = {};
  limits.max_steps = 50;
  EXPECT_EQ(outcome("{% for i in range(99) %}{% endfor %}", limits).code(),
            absl::StatusCode::kResourceExhausted);
  limits = {};
  limits.max_value_bytes = 1000;
  EXPECT_EQ(outcome("x", limits, {{"a", std::string(2000, 'x')}}).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ChatTemplateLimits, TakesAnyContext) {
  EXPECT_EQ(outcome("x", {}, nlohmann::ordered_json::array()).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(outcome("x", {}, nullptr).code(), absl::StatusCode::kInvalidArgument);
  nlohmann::ordered_json deep = 1;
  for (int i = 0; i < 500; ++i) deep = nlohmann::ordered_json::array({deep});
  EXPECT_EQ(outcome("x", {}, {{"a", deep}}).code(), absl::StatusCode::kResourceExhausted);
  const std::string chat = "{% for m in messages %}{{ m['role'] + m.content }}{% endfor %}";
  for (const char* context : {R"({"messages": 5})", R"({"messages": [5]})", R"({"messages": null})",
                              R"({"messages": [{"role": 1, "content": {}}]})"}) {
    EXPECT_FALSE(outcome(chat, {}, nlohmann::ordered_json::parse(context)).ok()) << context;
  }
}

TEST(ChatTemplateErrors, SayWhatAndWhere) {
  Status status = outcome("a\n{% if 1 %}\n{{ 1 + }}{% endif %}");
  EXPECT_EQ(status.message(),
            "[tokenizer] '}}' where an expression was expected (line 3, column 8); in the chat "
            "template");
  status = outcome("a\n\n{{ raise_exception('no system role') }}");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "[tokenizer] no system role (chat template, line 3)");
  EXPECT_EQ(outcome("a\n{{ x.y }}").message(),
            "[tokenizer] 'x' is undefined (chat template, line 2)");
}

}  // namespace
}  // namespace mokume
