#include "kernels/simt/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace mokume::simt {

constexpr size_t kGuardBytes = 4096;

#if defined(__x86_64__)

// Saves the callee-saved registers and the stack's top, goes on with another stack. It ends with an
// indirect jump: a return would miss the processor's stack of return addresses every time.
extern "C" void mokume_simt_switch(void** save, void* go_to);
// Where a fiber begins: calls what r12 points to with rbx.
extern "C" void mokume_simt_start();
asm(R"(
.text
.globl mokume_simt_switch
.type mokume_simt_switch, @function
mokume_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rax
  jmp *%rax
.size mokume_simt_switch, .-mokume_simt_switch
.globl mokume_simt_start
.type mokume_simt_start, @function
mokume_simt_start:
  movq %rbx, %rdi
  jmp *%r12
.size mokume_simt_start, .-mokume_simt_start
)");

struct Fiber::State {
  char* top = nullptr;  // of the stack
  void* inside = nullptr;
  void* outside = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;

  static void start(State* self) {
    self->entry(self->argument);
    __builtin_trap();
  }
};

Fiber::Fiber(void* stack, size_t stack_bytes) : state_(std::make_unique<State>()) {
  state_->top = static_cast<char*>(stack) + stack_bytes;
}

void Fiber::begin(void (*entry)(void*), void* argument) {
  state_->entry = entry;
  state_->argument = argument;
  // From the lowest: r15, r14, r13, r12, rbx, rbp, where to go, and a return address of no one.
  void* frame[8] = {};
  frame[3] = reinterpret_cast<void*>(&State::start);
  frame[4] = state_.get();
  frame[6] = reinterpret_cast<void*>(&mokume_simt_start);
  char* at = state_->top - sizeof(frame);
  std::memcpy(at, frame, sizeof(frame));
  state_->inside = at;
}

void Fiber::enter() { mokume_simt_switch(&state_->outside, state_->inside); }
void Fiber::leave() { mokume_simt_switch(&state_->inside, state_->outside); }

#else

struct Fiber::State {
  void* stack = nullptr;
  size_t bytes = 0;
  ucontext_t inside, outside;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;

  // makecontext passes ints: the pointer comes in halves.
  static void start(unsigned low, unsigned high) {
    auto* self = reinterpret_cast<State*>((static_cast<uintptr_t>(high) << 32) | low);
    self->entry(self->argument);
    __builtin_trap();
  }
};

Fiber::Fiber(void* stack, size_t stack_bytes) : state_(std::make_unique<State>()) {
  state_->stack = stack;
  state_->bytes = stack_bytes;
}

void Fiber::begin(void (*entry)(void*), void* argument) {
  state_->entry = entry;
  state_->argument = argument;
  getcontext(&state_->inside);
  state_->inside.uc_stack.ss_sp = state_->stack;
  state_->inside.uc_stack.ss_size = state_->bytes;
  state_->inside.uc_link = nullptr;
  const auto address = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(state_.get()));
  makecontext(&state_->inside, reinterpret_cast<void (*)()>(&State::start), 2,
              static_cast<unsigned>(address), static_cast<unsigned>(address >> 32));
}

void Fiber::enter() { swapcontext(&state_->outside, &state_->inside); }
void Fiber::leave() { swapcontext(&state_->inside, &state_->outside); }

#endif

Fiber::~Fiber() = default;

FiberStacks::FiberStacks(int count, size_t stack_bytes) : stride_(stack_bytes + kGuardBytes) {
  bytes_ = stride_ * static_cast<size_t>(count);
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  memory_ = static_cast<std::byte*>(memory);
  for (int i = 0; i < count; ++i) {
    mprotect(memory_ + static_cast<size_t>(i) * stride_, kGuardBytes, PROT_NONE);
  }
}

FiberStacks::~FiberStacks() {
  if (memory_) munmap(memory_, bytes_);
}

void* FiberStacks::stack(int index) const {
  return memory_ + static_cast<size_t>(index) * stride_ + kGuardBytes;
}

}  // namespace mokume::simt
