// A piece of a step that all threads of a pool work on together.
#pragma once

namespace mokume {

/// An op is cut into pieces of at most grain() of its items; any thread may take any of them. All
/// pieces of an op are done before the next op of its list begins.
///
/// Pieces of a repeatable op may be computed by several threads at once: when the thread that took
/// one was put to sleep, another does it again. compute() then writes to memory of its own thread
/// only, and reads what ops write with copy_shared(); commit() is called for one of the results and
/// puts it in place, with copy_shared() as well. A late result is dropped.
///
/// Every thread reads every op of a step, and weights have swept them out of its caches: an op is a
/// small object without further ones behind it.
class Op {
 public:
  virtual ~Op() = default;
  /// Asked once in each run, when all ops before are done; 0 skips the op.
  virtual int items() const = 0;
  virtual int grain() const { return 1; }
  virtual bool repeatable() const { return false; }
  /// Called on a thread before its first piece.
  virtual void prepare(int /*thread*/) const {}
  virtual void compute(int thread, int begin, int end) const = 0;
  virtual void commit(int /*thread*/, int /*begin*/, int /*end*/) const {}
};

}  // namespace mokume
