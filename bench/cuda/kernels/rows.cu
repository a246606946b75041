// Ops of attention layers, one kernel each: a thread an element.
#include "bench/cuda/kernels/ops.cuh"

namespace mokume::bench::MKM_TARGET {
namespace {

MKM_KERNEL(kThreads)
rope_kernel(RopeArgs args) {
  wait_for_previous();
  const int half = args.rope_dims / 2, index = element_index();
  if (index >= (args.heads + args.kv_heads) * half) return;
  const int token = static_cast<int>(block_y()), head = index / half, pair = index % half;
  const bool of_query = head < args.heads;
  const ptrdiff_t row = of_query
                            ? static_cast<ptrdiff_t>(token) * args.heads + head
                            : static_cast<ptrdiff_t>(token) * args.kv_heads + head - args.heads;
  const Ptr<float> x = global(of_query ? args.q : args.k) + row * args.head_dim;
  const int first = args.interleaved ? 2 * pair : pair;
  const int second = args.interleaved ? first + 1 : first + half;
  const int position = global(args.step.positions)[token];
  const float frequency = global(args.inverse_frequencies)[pair];
  const float angle = static_cast<float>(position < 0 ? 0 : position) * frequency;
  const float c = cosf(angle) * args.magnitude, s = sinf(angle) * args.magnitude;
  const float a = x[first], b = x[second];
  x[first] = a * c - b * s;
  x[second] = b * c + a * s;
}

MKM_KERNEL(kThreads)
append_kernel(AppendArgs args) {
  wait_for_previous();
  const cuda::KvCache& kv = args.kv;
  const int width = kv.kv_heads * kv.head_dim, index = element_index();
  const int token = static_cast<int>(block_y());
  const int position = global(args.step.positions)[token];
  if (index >= width || position < 0) return;
  const int sequence = global(args.step.sequences)[token];
  const int page =
      global(args.step.page_table)[static_cast<ptrdiff_t>(sequence) * args.step.page_stride +
                                   position / kv.page_tokens];
  const ptrdiff_t row =
      (static_cast<ptrdiff_t>(page) * kv.kv_heads + index / kv.head_dim) * kv.page_tokens +
      position % kv.page_tokens;
  const ptrdiff_t to = row * kv.head_dim + index % kv.head_dim;
  const ptrdiff_t from = static_cast<ptrdiff_t>(token) * width + index;
  const float k = global(args.k)[from], v = global(args.v)[from];
  global(static_cast<Half*>(kv.keys))[to] = from_float<Half>(k);
  global(static_cast<Half*>(kv.values))[to] = from_float<Half>(v);
}

MKM_KERNEL(kThreads)
add_kernel(AddArgs args) {
  wait_for_previous();
  const int i = element_index();
  if (i >= args.count) return;
  const float a = global(args.a)[i], b = global(args.b)[i];
  global(args.out)[i] = a + b;
}

MKM_KERNEL(kThreads)
sigmoid_kernel(SigmoidArgs args) {
  wait_for_previous();
  const int i = element_index();
  if (i >= args.count) return;
  const float x = global(args.x)[i];
  global(args.out)[i] = sigmoid(x);
}

MKM_KERNEL(kThreads)
output_gate_kernel(OutputGateArgs args) {
  wait_for_previous();
  const int i = element_index();
  if (i >= args.tokens * args.heads * args.head_dim) return;
  const int row = i / args.head_dim, d = i % args.head_dim;
  const float x = global(args.x)[i];
  const float gate = global(args.q)[(2 * static_cast<ptrdiff_t>(row) + 1) * args.head_dim + d];
  global(args.out)[i] = x * sigmoid(gate);
}

}  // namespace

int rope(const RopeArgs& args, Stream stream) {
  const unsigned blocks = blocks_of((args.heads + args.kv_heads) * args.rope_dims / 2);
  return launch(stream, "rope", rope_kernel, {blocks, static_cast<unsigned>(args.step.tokens)},
                kThreads, 0, args);
}

int append(const AppendArgs& args, Stream stream) {
  if (args.kv.element != cuda::Element::kF16) return 1;
  const unsigned blocks = blocks_of(args.kv.kv_heads * args.kv.head_dim);
  return launch(stream, "append", append_kernel, {blocks, static_cast<unsigned>(args.step.tokens)},
                kThreads, 0, args);
}

int add(const AddArgs& args, Stream stream) {
  return launch(stream, "add", add_kernel, {blocks_of(args.count)}, kThreads, 0, args);
}

int sigmoid_of(const SigmoidArgs& args, Stream stream) {
  return launch(stream, "sigmoid", sigmoid_kernel, {blocks_of(args.count)}, kThreads, 0, args);
}

int output_gate(const OutputGateArgs& args, Stream stream) {
  const unsigned blocks = blocks_of(args.tokens * args.heads * args.head_dim);
  return launch(stream, "output_gate", output_gate_kernel, {blocks}, kThreads, 0, args);
}

}  // namespace mokume::bench::MKM_TARGET
