// How a template's errors travel inside this folder; chat_template.cc turns them into a Status.
#pragma once

#include <string>
#include <utility>

#include "base/status.h"

namespace mokume::jinja {

/// Thrown by the parser and the interpreter. Never leaves chat_template.cc.
struct Error {
  enum class Kind { kTemplate, kLimit, kRaised };
  Kind kind;
  std::string message;
};

template <typename... Args>
[[noreturn]] void fail(const Args&... args) {
  throw Error{Error::Kind::kTemplate, str_cat(args...)};
}

template <typename... Args>
[[noreturn]] void fail_limit(const Args&... args) {
  throw Error{Error::Kind::kLimit, str_cat(args...)};
}

}  // namespace mokume::jinja
