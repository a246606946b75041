#include "bench/cuda/traffic.h"

namespace mokume::bench {
namespace {

using namespace cuda;

constexpr double kF32 = sizeof(float);

double bytes_of(const Matrix& m) {
  const double scales = static_cast<double>(scales_bytes(m.format, m.rows, m.columns));
  return static_cast<double>(data_bytes(m.format, m.rows, m.columns)) +
         scales * (has_minimums(m.format) ? 2 : 1) + (m.bias ? kF32 * m.rows : 0);
}

double row_bytes(Element element, double width) {
  return width * static_cast<double>(element_bytes(element)) +
         (element_bytes(element) == 1 ? kF32 : 0);
}

}  // namespace

double least_bytes(const EmbedArgs& args, int) {
  const Matrix& m = args.table;
  return args.tokens * (bytes_of(m) / m.rows + kF32 * m.columns);
}

double least_bytes(const RmsNormArgs& args, int) {
  const double inputs = args.add ? 3 : 1;  // x, what is added, and x again
  return (args.weight ? kF32 * args.width : 0) +
         args.tokens * (inputs * kF32 * args.width + row_bytes(args.element, args.width));
}

double least_bytes(const MatvecArgs& args, int) {
  const int columns = args.matrices[0].columns;
  double bytes =
      (args.norm_weight ? kF32 * columns : 0) + kF32 * columns * args.tokens * (args.gate ? 2 : 1);
  for (int i = 0; i < args.count; ++i) {
    bytes += bytes_of(args.matrices[i]) +
             kF32 * args.matrices[i].rows * args.tokens * (args.accumulate ? 2 : 1);
  }
  return bytes;
}

double least_bytes(const GateUpArgs& args, int) {
  const int columns = args.gate.columns;
  return bytes_of(args.gate) + bytes_of(args.up) + (args.norm_weight ? kF32 * columns : 0) +
         kF32 * args.tokens * (columns + args.gate.rows);
}

double least_bytes(const SiluMulArgs& args, int) {
  return args.tokens * (2 * kF32 * args.width + row_bytes(args.element, args.width));
}

double least_bytes(const RopeAppendArgs& args, int) {
  const double width = static_cast<double>(args.heads) * args.kv.head_dim;
  const double kv_width = static_cast<double>(args.kv.kv_heads) * args.kv.head_dim;
  const double activations = (args.gate ? 4 : 2) * width + 2 * kv_width;
  const double kept = 2 * args.kv.kv_heads * row_bytes(args.kv.element, args.kv.head_dim);
  return args.step.tokens * (kF32 * activations + kept);
}

double least_bytes(const AttentionArgs& args, int positions) {
  const double width = static_cast<double>(args.heads) * args.kv.head_dim;
  const double kept =
      2.0 * positions * args.kv.kv_heads * row_bytes(args.kv.element, args.kv.head_dim);
  return args.step.tokens * (kept + kF32 * width * (args.gate ? 3 : 2));
}

double least_bytes(const DeltaNetArgs& args, int) {
  const double values = static_cast<double>(args.value_heads) * args.value_dim;
  const double channels = 2.0 * args.key_heads * args.key_dim + values;
  const double once = args.conv_kernel * channels + 2.0 * args.value_heads + args.value_dim;
  // The states come and go; of the convolution's the last kernel - 1 come and the newest goes.
  const double each = 2 * values * args.key_dim + (1 + args.conv_kernel) * channels +
                      2 * (values + args.value_heads);
  return kF32 * (once + each * args.step.tokens);
}

}  // namespace mokume::bench
