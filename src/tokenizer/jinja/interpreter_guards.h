// What the interpreter undoes when it leaves a construct, by an error too.
#pragma once

#include "tokenizer/jinja/interpreter.h"

namespace mokume::jinja {

class Interpreter::DepthGuard {
 public:
  explicit DepthGuard(Interpreter& interpreter) : interpreter_(interpreter) {
    interpreter_.budget_.step();
    if (++interpreter_.depth_ > interpreter_.limits_.max_depth) {
      --interpreter_.depth_;
      fail_limit("blocks, expressions and macro calls are nested deeper than the ",
                 interpreter_.limits_.max_depth, " allowed");
    }
  }
  ~DepthGuard() { --interpreter_.depth_; }

 private:
  Interpreter& interpreter_;
};

/// Runs in a new scope inside `parent` until the end of this object's life.
class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter& interpreter, std::shared_ptr<Scope> parent)
      : interpreter_(interpreter),
        outer_(std::exchange(interpreter.scope_, std::make_shared<Scope>(std::move(parent)))) {}
  ~ScopeGuard() { interpreter_.scope_ = std::move(outer_); }

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Scope> outer_;
};

/// Collects what is printed during its life instead of printing it.
class Interpreter::Capture {
 public:
  explicit Capture(Interpreter& interpreter)
      : interpreter_(interpreter), begin_(interpreter.output_.size()) {}
  ~Capture() { interpreter_.output_.resize(begin_); }

  std::string text() const { return interpreter_.output_.substr(begin_); }

 private:
  Interpreter& interpreter_;
  const size_t begin_;
};

}  // namespace mokume::jinja
