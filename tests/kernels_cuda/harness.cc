#include "tests/kernels_cuda/harness.h"

#include <charconv>

#include "device/cuda/simulated_gpu.h"

namespace mokume::cuda {
namespace {

/// Before and behind an allocation on a GPU, where nothing else sees what is written there.
constexpr size_t kGuard = 512;
constexpr uint8_t kGuardByte = 0xa5, kUnwrittenByte = 0xff;

/// Opened once: that takes seconds.
std::unique_ptr<Gpu>& the_gpu() {
  static std::unique_ptr<Gpu> gpu;
  return gpu;
}

void expect_ok(const Status& status) { EXPECT_TRUE(status.ok()) << status.message(); }

}  // namespace

struct TestGpu::State {
  struct Piece {
    uint8_t* memory;  // with guards around it where there are some
    size_t bytes;
  };

  std::unique_ptr<Gpu> simulated;
  Gpu* gpu = nullptr;
  size_t guard = 0;
  StreamHandle stream = nullptr;
  std::vector<Piece> pieces;
  simt::Executor* executor = nullptr;  // of `simulated`, once it has run something

  void synchronize() { expect_ok(gpu->synchronize(stream)); }
  void fill(uint8_t* memory, size_t bytes, uint8_t value) {
    const std::vector<uint8_t> values(bytes, value);
    expect_ok(gpu->copy_to_device(stream, memory, values.data(), bytes));
    synchronize();
  }
  void expect_guard(const uint8_t* memory, const char* where) {
    std::vector<uint8_t> values(guard, kGuardByte);
    expect_ok(gpu->copy_to_host(stream, values.data(), memory, guard));
    synchronize();
    EXPECT_EQ(values, std::vector<uint8_t>(guard, kGuardByte))
        << "something was written " << where << " an allocation";
  }
};

Status use_gpu(const std::string& which) {
  if (which == "simulated") {
    the_gpu() = make_simulated_gpu({});
    return absl::OkStatus();
  }
  int index = 0;
  const auto [end, error] = std::from_chars(which.data(), which.data() + which.size(), index);
  if (error != std::errc() || end != which.data() + which.size()) {
    return invalid_argument("cuda", which, " is neither a GPU's index nor \"simulated\"");
  }
  MKM_ASSIGN_OR_RETURN(the_gpu(), open_gpu({index, ""}, "gpu"));
  return absl::OkStatus();
}

bool on_gpu() { return the_gpu() != nullptr; }
bool multiplies_nvfp4() { return !on_gpu() || the_gpu()->info().multiplies_nvfp4(); }

std::vector<simt::Order> orders() {
  if (on_gpu()) return {simt::Order::kForward};
  return {simt::Order::kForward, simt::Order::kReverse, simt::Order::kRandom};
}

TestGpu::TestGpu(simt::Order order) : state_(std::make_unique<State>()) {
  if (on_gpu()) {
    state_->gpu = the_gpu().get();
    state_->guard = kGuard;
  } else {
    SimulatedOptions options;
    options.order = order;
    options.seed = 11;
    options.after_kernel = [state = state_.get()](const simt::Launch&, simt::Executor& executor) {
      state->executor = &executor;
    };
    state_->simulated = make_simulated_gpu(options);
    state_->gpu = state_->simulated.get();
  }
  Result<StreamHandle> stream = state_->gpu->make_stream();
  expect_ok(stream.status());
  if (stream.ok()) state_->stream = *stream;
}

TestGpu::~TestGpu() {
  for (const State::Piece& piece : state_->pieces) {
    if (state_->guard > 0) {
      state_->expect_guard(piece.memory, "before");
      state_->expect_guard(piece.memory + state_->guard + piece.bytes, "behind");
    }
    state_->gpu->free(piece.memory);
  }
  state_->gpu->destroy(state_->stream);
}

void* TestGpu::allocate(size_t bytes) {
  const size_t guard = state_->guard;
  Result<void*> memory = state_->gpu->allocate(bytes + 2 * guard);
  expect_ok(memory.status());
  if (!memory.ok()) return nullptr;
  auto* const begin = static_cast<uint8_t*>(*memory);
  state_->pieces.push_back({begin, bytes});
  if (guard > 0) {
    state_->fill(begin, bytes + 2 * guard, kGuardByte);
    state_->fill(begin + guard, bytes, kUnwrittenByte);
  }
  return begin + guard;
}

void TestGpu::copy_in(void* to, const void* from, size_t bytes) {
  expect_ok(state_->gpu->copy_to_device(state_->stream, to, from, bytes));
  state_->synchronize();
}

void TestGpu::copy_out(void* to, const void* from, size_t bytes) {
  expect_ok(state_->gpu->copy_to_host(state_->stream, to, from, bytes));
  state_->synchronize();
}

const CudaKernels& TestGpu::kernels() const { return state_->gpu->kernels(); }
Gpu& TestGpu::gpu() { return *state_->gpu; }
StreamHandle TestGpu::stream() { return state_->stream; }

void TestGpu::launch(absl::FunctionRef<int(Stream)> kernel) {
  expect_ok(state_->gpu->launch(state_->stream, "the kernel", kernel));
  state_->synchronize();
}

simt::Counters TestGpu::counted() const {
  return state_->executor ? state_->executor->total() : simt::Counters{};
}

void TestGpu::reset_counters() {
  if (state_->executor) state_->executor->reset_counters();
}

}  // namespace mokume::cuda
