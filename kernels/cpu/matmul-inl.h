// Products of packed weights and activations. Included by each instruction set's .cc inside its
// namespace, after its simd header and tiles-inl.h.
#include "kernels/cpu/formats-inl.h"

/// Writes 16 rows of one token.
[[gnu::always_inline]] inline void store_rows(const MatmulOutput& out, int token, int row, int rows,
                                              Vec value) {
  float* target = out.data + token * out.stride + row;
  const int count = std::min(kPanelRows, rows - row);
  if (count == kPanelRows) {
    (out.accumulate ? Vec::load(target) + value : value).store(target);
  } else {
    (out.accumulate ? Vec::load(target, count) + value : value).store(target, count);
  }
}

#include "kernels/cpu/matmul_float-inl.h"
#include "kernels/cpu/matmul_integer-inl.h"
#include "kernels/cpu/matmul_swept-inl.h"

template <Format kFormat, typename Rows>
void integer_product(const PackedMatrix& w, int panel_begin, int panel_end, const Rows& x,
                     int tokens, const MatmulOutput& out) {
  if (tokens < kSweepFrom) {
    integer_panels<kFormat>(w, panel_begin, panel_end, x, tokens, out);
  } else {
    integer_swept<kFormat>(w, panel_begin, panel_end, x, tokens, out);
  }
}

void matmul_int8(const PackedMatrix& w, int panel_begin, int panel_end, const QuantizedRows& x,
                 int tokens, const MatmulOutput& out) {
  with_int8_format(w.format, [&]<Format kFormat>(std::integral_constant<Format, kFormat>) {
    integer_product<kFormat>(w, panel_begin, panel_end, x, tokens, out);
  });
}

void matmul_int16(const PackedMatrix& w, int panel_begin, int panel_end, const WideRows& x,
                  int tokens, const MatmulOutput& out) {
  integer_product<Format::kInt16>(w, panel_begin, panel_end, x, tokens, out);
}
