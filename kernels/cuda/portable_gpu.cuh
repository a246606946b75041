// portable.cuh's names under nvcc.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define MKM_TARGET gpu
#define MKM_KERNEL(threads) static __global__ void __launch_bounds__(threads)
#define MKM_KERNEL_BLOCKS(threads, blocks) static __global__ void __launch_bounds__(threads, blocks)
#define MKM_DEVICE __device__ __forceinline__
#define MKM_SHARED(T, name, count) __shared__ T name[count]
#define MKM_DYNAMIC_SHARED(name)                                      \
  extern __shared__ __align__(16) unsigned char mkm_dynamic_shared[]; \
  ::mokume::cuda::gpu::Ptr<uint8_t> name = mkm_dynamic_shared

namespace mokume::cuda::gpu {

template <typename T>
using Ptr = T*;

template <typename T>
MKM_DEVICE Ptr<T> global(T* pointer) {
  return pointer;
}
template <typename U, typename T>
MKM_DEVICE Ptr<U> cast(T* pointer) {
  return reinterpret_cast<U*>(pointer);
}

template <typename V, typename T>
MKM_DEVICE V load(const T* pointer) {
  return *reinterpret_cast<const V*>(pointer);
}
/// Of weights: 16 bytes that no one reads again soon.
template <typename V, typename T>
MKM_DEVICE V load_once(const T* pointer) {
  static_assert(sizeof(V) == 16);
  const uint4 raw = __ldcs(reinterpret_cast<const uint4*>(pointer));
  V value;
  __builtin_memcpy(&value, &raw, sizeof(V));
  return value;
}
template <typename V, typename T>
MKM_DEVICE void store(T* pointer, V value) {
  *reinterpret_cast<V*>(pointer) = value;
}

MKM_DEVICE unsigned thread_x() { return threadIdx.x; }
MKM_DEVICE unsigned block_threads() { return blockDim.x; }
MKM_DEVICE unsigned block_x() { return blockIdx.x; }
MKM_DEVICE unsigned block_y() { return blockIdx.y; }
MKM_DEVICE unsigned block_z() { return blockIdx.z; }
MKM_DEVICE unsigned grid_x() { return gridDim.x; }
MKM_DEVICE unsigned grid_y() { return gridDim.y; }
MKM_DEVICE unsigned grid_z() { return gridDim.z; }

MKM_DEVICE void sync_block() { __syncthreads(); }
MKM_DEVICE void sync_warp() { __syncwarp(); }
template <typename T>
MKM_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}
template <typename T>
MKM_DEVICE T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
/// The warp's largest.
MKM_DEVICE uint32_t warp_max_bits(uint32_t value) { return __reduce_max_sync(0xffffffffu, value); }
MKM_DEVICE unsigned ballot(bool predicate) { return __ballot_sync(0xffffffffu, predicate); }

template <typename T>
MKM_DEVICE T atomic_add(T* pointer, T value) {
  return atomicAdd(pointer, value);
}
MKM_DEVICE void thread_fence() { __threadfence(); }

MKM_DEVICE void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
MKM_DEVICE void allow_next() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

MKM_DEVICE float madd(float a, float b, float c) { return fmaf(a, b, c); }
MKM_DEVICE float inverse_sqrt(float x) { return rsqrtf(x); }
/// Of two pairs of halves.
MKM_DEVICE uint32_t multiply_half(uint32_t a, uint32_t b) {
  const __half2 product = __hmul2(*reinterpret_cast<__half2*>(&a), *reinterpret_cast<__half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&product);
}
MKM_DEVICE uint32_t add_half(uint32_t a, uint32_t b) {
  const __half2 sum = __hadd2(*reinterpret_cast<__half2*>(&a), *reinterpret_cast<__half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&sum);
}
/// a b + c, rounded once.
MKM_DEVICE uint32_t madd_half(uint32_t a, uint32_t b, uint32_t c) {
  const __half2 sum = __hfma2(*reinterpret_cast<__half2*>(&a), *reinterpret_cast<__half2*>(&b),
                              *reinterpret_cast<__half2*>(&c));
  return *reinterpret_cast<const uint32_t*>(&sum);
}
MKM_DEVICE uint32_t pack_half(float low, float high) {
  const __half2 both = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&both);
}
MKM_DEVICE float half_bits_to_float(uint16_t bits) { return __half2float(__ushort_as_half(bits)); }
MKM_DEVICE uint16_t float_to_half_bits(float x) { return __half_as_ushort(__float2half_rn(x)); }
/// The two halves of a word, the lower first.
MKM_DEVICE void half_pair(uint32_t bits, float& low, float& high) {
  const float2 both = __half22float2(*reinterpret_cast<const __half2*>(&bits));
  low = both.x;
  high = both.y;
}
/// Byte i of the eight of (low, high) for each nibble i of `selector`.
MKM_DEVICE uint32_t pick_bytes(uint32_t low, uint32_t high, uint32_t selector) {
  return __byte_perm(low, high, selector);
}
MKM_DEVICE int count_bits(uint32_t bits) { return __popc(bits); }
MKM_DEVICE float bits_to_float(uint32_t bits) { return __uint_as_float(bits); }
MKM_DEVICE uint32_t float_to_bits(float x) { return __float_as_uint(x); }

template <typename T, typename U>
MKM_DEVICE void copy16_async(T* shared, const U* from) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
MKM_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kLeft>
MKM_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

/// d += a b of a [16][16] and b [16][8]; lane = 4 g + t holds of a the rows g and g + 8 (a[0],
/// a[1]) at columns 2t, 2t + 1, then at columns + 8 (a[2], a[3]); of b the rows 2t, 2t + 1, then +
/// 8, at column g; of d the rows g (d[0], d[1]) and g + 8 at columns 2t, 2t + 1. The lower half of
/// a word is the lower index.
MKM_DEVICE void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
MKM_DEVICE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
/// d += a b of E2M1, a [16][64] and b [64][8], each 16 columns of a row of a (rows of a column of
/// b) times an E4M3 without sign. Lane 4 g + t holds of a the rows g and g + 8 (a[0], a[1]) at
/// columns 8t .. 8t + 7, then at columns + 32 (a[2], a[3]); of b the rows 8t .. 8t + 7 and + 32 at
/// column g; the lower half of a byte is the lower index. Scales of columns 0 .. 15 are in the
/// lowest byte, and so on: those of row g of a with the lane of t = 0, of row g + 8 with t = 1, of
/// column g of b with t = 0. d as in mma_f16. Only GPUs of capability 12.0 have it.
MKM_DEVICE void mma_nvfp4(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                          uint32_t a_scales, uint32_t b_scales) {
#if defined(__CUDA_ARCH_FEAT_SM120_ALL)
  asm("mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1"
      ".f32.ue4m3 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}, {%10}, {0,0}, {%11}, {0,0};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(a_scales),
        "r"(b_scales));
#else
  __trap();
#endif
}

inline constexpr size_t kStaticSharedLimit = 48 * 1024;

template <typename Kernel, typename... Args>
int launch(Stream stream, const char* /*name*/, Kernel kernel, Grid grid, unsigned threads,
           size_t shared_bytes, const Args&... args) {
  if (shared_bytes > kStaticSharedLimit) {
    const cudaError_t status = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (status != cudaSuccess) return static_cast<int>(status);
  }
  cudaLaunchAttribute overlap;
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid.x, grid.y, grid.z);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream.handle);
  config.attrs = &overlap;
  config.numAttrs = stream.overlap ? 1 : 0;
  return static_cast<int>(cudaLaunchKernelEx(&config, kernel, args...));
}

}  // namespace mokume::cuda::gpu
