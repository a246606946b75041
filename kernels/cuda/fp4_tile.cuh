// A tile's input as E2M1 with an E4M3 for 16 columns, for tensor cores that multiply NVFP4 by
// NVFP4: 128 columns of a token times a power of two of their own, which is what takes NVFP4's
// factor.
#pragma once

#include "kernels/cuda/mma_tile.cuh"

namespace mokume::cuda::MKM_TARGET {

template <int kRoom>
struct Fp4Tile {
  static constexpr Format kFormat = Format::kNvfp4;
  static constexpr int kTokens = kRoom;
  static constexpr int kColumns = tile_columns(kFormat);
  static constexpr bool kScalesInput = true;
  static constexpr float kShort = 1;
  static constexpr int kValueBytes = kColumns / kSegment * kTokens * 64;
  static constexpr int kInputBytes = kValueBytes + kColumns / kSegment * kTokens * 8;

  Ptr<uint8_t> planes;  ///< [segment][token][lane of a row]: 16 bytes, then the scales,
                        ///< [segment][2] [token]: four of them
  Ptr<float> inverses;  ///< [segment][token]: 1 / the power of two

  /// The lane's four columns of a segment, which are half of a word of eight: even nibbles have the
  /// first four, odd ones the others. Reached by whole warps.
  MKM_DEVICE void put(int token, int segment, Float4 v) const {
    const SegmentScale<10> by(v);  // so that a sixth of the largest has an E4M3
    v = {v.x * by.scale, v.y * by.scale, v.z * by.scale, v.w * by.scale};
    float most = fmaxf(fmaxf(fabsf(v.x), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
    most = fmaxf(most, shuffle_xor(most, 1));
    most = fmaxf(most, shuffle_xor(most, 2));
    const Fp8 scale = from_float<Fp8>(most / 6.0f);
    const float inverse = scale.bits ? 1.0f / to_float(scale) : 0.0f;
    const int lane = lane_id(), chunk = lane / 8, group = lane / 4 % 2;
    uint32_t word = to_e2m1(v.x * inverse) | (to_e2m1(v.y * inverse) << 8) |
                    (to_e2m1(v.z * inverse) << 16) | (to_e2m1(v.w * inverse) << 24);
    word <<= lane % 2 * 4;
    word |= shuffle_xor(word, 1);
    const int t = chunk / 2 * 2 + lane / 2 % 2;  // of the lanes of a row, who multiplies it
    const Ptr<uint8_t> at = planes + (segment * kTokens + token) * 64 + t * 16;
    if (lane % 2 == 0) store(at + (chunk % 2 * 2 + group) * 4, word);
    if (lane % 4 == 0) {
      const int first = kValueBytes + ((segment * 2 + chunk % 2) * kTokens + token) * 4;
      planes[first + chunk / 2 + 2 * group] = scale.bits;
    }
    if (lane == 0) inverses[segment * kTokens + token] = by.inverse;
  }

  /// As HalfTile's. A stripe is two multiplications: of the even chunks, and of the odd ones. Two
  /// neighbouring lanes have to hold halves of one chunk for that, so they exchange.
  MKM_DEVICE void multiply(const Words4 (&chunks)[2], Ptr<const uint16_t> scales,
                           Ptr<const uint16_t> /*minimums*/, int row, int stripe,
                           float (&sums)[kTokens / 8][4]) const {
    const int g = lane_id() / 4, t = lane_id() % 4;
    const bool odd = t % 2 == 1;
    uint32_t a[2][4];  // of each multiplication
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const Words4& own = chunks[r];
      const uint32_t first = shuffle_xor(odd ? own.w[0] : own.w[2], 1);
      const uint32_t second = shuffle_xor(odd ? own.w[1] : own.w[3], 1);
      const uint32_t even_words[2] = {odd ? first : own.w[0], odd ? second : own.w[1]};
      const uint32_t odd_words[2] = {odd ? own.w[2] : first, odd ? own.w[3] : second};
      split(even_words, a[0][r], a[0][2 + r]);
      split(odd_words, a[1][r], a[1][2 + r]);
    }
    const Words2 row_scales =
        load<Words2>(scales + (row + g + (odd ? 8 : 0)) * kGroupPitch + stripe * 4);
    Words4 input[kTokens / 8];
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n) {
      input[n] = load<Words4>(planes + (stripe * kTokens + 8 * n) * 64 + 16 * lane_id());
    }
#pragma unroll
    for (int m = 0; m < 2; ++m) {
      // From the scales of chunks 0, 1 and 2, 3: of this one's and the other's first groups, then
      // of their second.
      const uint32_t a_scales =
          pick_bytes(row_scales.w[0], row_scales.w[1], m == 0 ? 0x5140u : 0x7362u);
#pragma unroll
      for (int n = 0; n < kTokens / 8; ++n) {
        const uint32_t b_scales =
            load<uint32_t>(planes + kValueBytes + ((stripe * 2 + m) * kTokens + 8 * n + g) * 4);
        const uint32_t b[2] = {input[n].w[2 * m], input[n].w[2 * m + 1]};
        mma_nvfp4(sums[n], a[m], b, a_scales, b_scales);
      }
    }
  }

 private:
  /// Eight bytes' low and high nibbles.
  MKM_DEVICE static void split(const uint32_t (&bytes)[2], uint32_t& low, uint32_t& high) {
    low = (bytes[0] & 0x0f0f0f0fu) | ((bytes[1] & 0x0f0f0f0fu) << 4);
    high = ((bytes[0] >> 4) & 0x0f0f0f0fu) | (bytes[1] & 0xf0f0f0f0u);
  }
};

}  // namespace mokume::cuda::MKM_TARGET
