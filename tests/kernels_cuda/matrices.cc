#include "tests/kernels_cuda/matrices.h"

#include <cmath>
#include <random>

namespace mokume::cuda {
namespace {

// Quants as a checkpoint has them: any value that the format knows.
void fill_data(HostMatrix& m, std::mt19937& random) {
  std::normal_distribution<float> normal(0, 1);
  const auto put = [&](const void* element, size_t bytes) {
    const auto* p = static_cast<const uint8_t*>(element);
    m.data.insert(m.data.end(), p, p + bytes);
  };
  const size_t elements = static_cast<size_t>(m.rows) * m.columns;
  for (size_t i = 0; i < elements; ++i) {
    const float f = normal(random);
    if (m.format == Format::kF32) {
      put(&f, 4);
    } else if (m.format == Format::kF16) {
      const uint16_t h = kernels::float_to_half(f);
      put(&h, 2);
    } else if (m.format == Format::kBF16) {
      uint32_t bits;
      std::memcpy(&bits, &f, 4);
      put(reinterpret_cast<const uint8_t*>(&bits) + 2, 2);
    } else if (bits(m.format) == 8) {
      uint8_t byte = static_cast<uint8_t>(random());
      if (m.format == Format::kF8 && (byte & 0x7f) == 0x7f) byte = 0x7e;  // not NaN
      put(&byte, 1);
    } else if (i % 2 == 0) {
      const auto byte = static_cast<uint8_t>(random());
      put(&byte, 1);
    }
  }
}

std::vector<uint8_t> random_scales(const HostMatrix& m, std::mt19937& random, float low,
                                   float high) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<uint8_t> out;
  const size_t count = scales_bytes(m.format, m.rows, m.columns) / scale_bytes(m.format);
  for (size_t i = 0; i < count; ++i) {
    const float scale = uniform(random);
    const uint16_t half = kernels::float_to_half(scale);
    const auto e4m3 = static_cast<uint8_t>(0x20 + random() % 0x20);
    const void* source = scale_bytes(m.format) == 4   ? static_cast<const void*>(&scale)
                         : scale_bytes(m.format) == 2 ? static_cast<const void*>(&half)
                                                      : static_cast<const void*>(&e4m3);
    const auto* p = static_cast<const uint8_t*>(source);
    out.insert(out.end(), p, p + scale_bytes(m.format));
  }
  return out;
}

template <typename T>
T at(const std::vector<uint8_t>& bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

int nibble(const HostMatrix& m, int row, int column) {
  const size_t block = (static_cast<size_t>(row) * m.columns + column) / 32;
  const uint8_t byte = m.data[block * 16 + column % 16];
  return column % 32 < 16 ? byte & 15 : byte >> 4;
}

}  // namespace

const char* name(Format format) {
  const char* const names[kFormats] = {"F32", "F16", "BF16",  "F8",   "Int8",
                                       "Q8",  "Q4",  "Q4Min", "Nvfp4"};
  return names[static_cast<int>(format)];
}

double e4m3_value(uint8_t bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  const double magnitude =
      exponent ? std::ldexp(8 + mantissa, exponent - 10) : std::ldexp(mantissa, -9);
  return bits & 0x80 ? -magnitude : magnitude;
}

double HostMatrix::value(int row, int column) const {
  static const double kE2m1[8] = {0, .5, 1, 1.5, 2, 3, 4, 6};
  const size_t index = static_cast<size_t>(row) * columns + column;
  const auto half = [&](const std::vector<uint8_t>& from) {
    return static_cast<double>(kernels::half_to_float(at<uint16_t>(from, index / 32)));
  };
  switch (format) {
    case Format::kF32:
      return at<float>(data, index);
    case Format::kF16:
      return kernels::half_to_float(at<uint16_t>(data, index));
    case Format::kBF16:
      return kernels::bfloat16_to_float(at<uint16_t>(data, index));
    case Format::kF8:
      return e4m3_value(data[index]) * at<float>(scales, static_cast<size_t>(row));
    case Format::kInt8:
      return at<int8_t>(data, index) * double{at<float>(scales, static_cast<size_t>(row))};
    case Format::kQ8:
      return at<int8_t>(data, index) * half(scales);
    case Format::kQ4:
      return (nibble(*this, row, column) - 8) * half(scales);
    case Format::kQ4Min:
      return nibble(*this, row, column) * half(scales) + half(minimums);
    default: {
      const int n = nibble(*this, row, column);
      return (n & 8 ? -kE2m1[n & 7] : kE2m1[n & 7]) * e4m3_value(scales[index / 16]) * factor;
    }
  }
}

Matrix HostMatrix::on(TestGpu& gpu) const {
  return {format,        gpu.put(data), gpu.put(scales), gpu.put(minimums),
          gpu.put(bias), rows,          columns,         factor};
}

HostMatrix random_matrix(Format format, int rows, int columns, unsigned seed, bool bias) {
  std::mt19937 random(seed);
  HostMatrix m{format, rows, columns, {}, {}, {}, {}, 1};
  fill_data(m, random);
  if (scale_bytes(format)) m.scales = random_scales(m, random, 0.002f, 0.02f);
  if (has_minimums(format)) m.minimums = random_scales(m, random, -0.1f, 0.1f);
  if (format == Format::kNvfp4) m.factor = 0.0123f;
  if (bias) m.bias = random_floats(static_cast<size_t>(rows), seed + 1);
  return m;
}

}  // namespace mokume::cuda
