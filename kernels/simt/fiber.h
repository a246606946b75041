// A stack that a function runs on and can be left from and gone back to: a thread of a simulated
// block. Switching costs a few nanoseconds on x86-64; elsewhere ucontext does it.
#pragma once

#include <cstddef>
#include <memory>

namespace mokume::simt {

class Fiber {
 public:
  /// `stack` is [stack_bytes], 16-byte aligned, and outlives the fiber.
  Fiber(void* stack, size_t stack_bytes);
  ~Fiber();

  /// The next enter() begins entry(argument), whatever the fiber was doing. `entry` never returns:
  /// it ends with leave().
  void begin(void (*entry)(void*), void* argument);
  void enter();  ///< from outside: runs the fiber until it leaves
  void leave();  ///< from inside: back to where it was entered

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Stacks for `count` fibers, each with a page below it that cannot be touched.
class FiberStacks {
 public:
  FiberStacks(int count, size_t stack_bytes);
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  bool valid() const { return memory_ != nullptr; }
  void* stack(int index) const;

 private:
  std::byte* memory_ = nullptr;
  size_t bytes_ = 0, stride_ = 0;
};

}  // namespace mokume::simt
