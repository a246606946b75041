// A tile's input as 16-bit elements, for tensor cores: halves, 128 columns of a token times a power
// of two of their own; with a matrix in bfloat16 the sum of two bfloat16.
#pragma once

#include "kernels/cuda/fragments.cuh"
#include "kernels/cuda/mma_tile.cuh"

namespace mokume::cuda::MKM_TARGET {

template <Format kOf, int kRoom>
struct HalfTile {
  static constexpr Format kFormat = kOf;
  static constexpr int kTokens = kRoom;
  using C = Chunk<kFormat>;
  using F = Fragment<kFormat>;
  static constexpr int kColumns = tile_columns(kFormat);
  static constexpr bool kTwoParts = kFormat == Format::kBF16;
  static constexpr bool kScalesInput = !kTwoParts;
  static constexpr float kShort = F::kShort;
  static constexpr int kPlanes = kColumns / 32;
  static constexpr int kStripePlanes = C::kColumns / 8;
  /// Padded so that the quads that neighbouring lanes store lie in different banks.
  static constexpr int kPlane = kTokens * 64 + (C::kColumns == 32 ? 32 : 64);
  static constexpr int kInputBytes = kPlanes * kPlane * (kTwoParts ? 2 : 1);

  Ptr<uint8_t> planes;
  Ptr<float> inverses;  ///< [segment][token]: 1 / the power of two

  /// The lane's four columns of a segment. Reached by whole warps.
  MKM_DEVICE void put(int token, int segment, Float4 v) const {
    const int column = segment * kSegment + 4 * lane_id();
    const int stripe = column / (4 * C::kColumns), within = column % C::kColumns;
    const int plane = stripe * kStripePlanes + within / 8;
    const Ptr<uint8_t> at =
        planes + plane * kPlane + token * 64 + column / C::kColumns % 4 * 16 + within % 8 * 2;
    if constexpr (kTwoParts) {
      const auto rest = [](float x) { return x - bits_to_float(float_to_bits(x) & 0xffff0000u); };
      const auto pack = [](float low, float high) {
        return from_float<BFloat16>(low).bits |
               (static_cast<uint32_t>(from_float<BFloat16>(high).bits) << 16);
      };
      store(at, Words2{{pick_bytes(float_to_bits(v.x), float_to_bits(v.y), 0x7632u),
                        pick_bytes(float_to_bits(v.z), float_to_bits(v.w), 0x7632u)}});
      store(at + kPlanes * kPlane,
            Words2{{pack(rest(v.x), rest(v.y)), pack(rest(v.z), rest(v.w))}});
    } else {
      const SegmentScale<14> by(v);
      v = {v.x * by.scale, v.y * by.scale, v.z * by.scale, v.w * by.scale};
      store(at, F::kInterleaved ? Words2{{pack_half(v.x, v.z), pack_half(v.y, v.w)}}
                                : Words2{{pack_half(v.x, v.y), pack_half(v.z, v.w)}});
      if (lane_id() == 0) {
        inverses[segment * kTokens + token] = by.inverse;
      }
    }
  }

  /// sums += a stripe's, of the lane's chunks of a row and of the one 8 below; `row` is the first
  /// of the warp in `scales` and `minimums`.
  MKM_DEVICE void multiply(const Words4 (&chunks)[2], Ptr<const uint16_t> scales,
                           Ptr<const uint16_t> minimums, int row, int stripe,
                           float (&sums)[kTokens / 8][4]) const {
    const auto fragment_of = [&](int below) {
      const int group = (stripe * 4 + lane_id() % 4) * C::kColumns / 32;
      const int at = (row + lane_id() / 4 + below) * kGroupPitch + group;
      uint16_t scale = 0, least = 0;
      if constexpr (C::kGroupScale) scale = scales[at];
      if constexpr (C::kMinimum) least = minimums[at];
      return F(scale, least);
    };
    const F upper = fragment_of(0), lower = fragment_of(8);
#pragma unroll
    for (int p = 0; p < kStripePlanes; ++p) {
      const Ptr<uint8_t> at = planes + (stripe * kStripePlanes + p) * kPlane + 16 * lane_id();
      Words4 input[kTokens / 8], rest[kTokens / 8];
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n) {
        input[n] = load<Words4>(at + n * 512);
        if constexpr (kTwoParts) rest[n] = load<Words4>(at + kPlanes * kPlane + n * 512);
      }
#pragma unroll
      for (int q = 0; q < 2; ++q) {
        uint32_t u[2], l[2];
        upper.quad(chunks[0], 2 * p + q, u);
        lower.quad(chunks[1], 2 * p + q, l);
        const uint32_t a[4] = {u[0], l[0], u[1], l[1]};
#pragma unroll
        for (int n = 0; n < kTokens / 8; ++n) {
          const uint32_t b[2] = {input[n].w[2 * q], input[n].w[2 * q + 1]};
          if constexpr (kTwoParts) {
            const uint32_t c[2] = {rest[n].w[2 * q], rest[n].w[2 * q + 1]};
            mma_bf16(sums[n], a, b);
            mma_bf16(sums[n], a, c);
          } else {
            mma_f16(sums[n], a, b);
          }
        }
      }
    }
  }
};

}  // namespace mokume::cuda::MKM_TARGET
