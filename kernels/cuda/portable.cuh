// What the kernels' sources are written in: CUDA under nvcc, the executor of kernels/simt under a
// host compiler. Both have, in mokume::cuda::MKM_TARGET,
//
//   MKM_KERNEL(threads)     before a kernel's `void name(Args args)`
//   MKM_KERNEL_BLOCKS(threads, blocks)  so many blocks must fit into a multiprocessor at a time
//   MKM_DEVICE              before a function that kernels call
//   MKM_SHARED(T, name, n)  an array of the block, whose elements need no construction
//   MKM_DYNAMIC_SHARED(p)   Ptr<uint8_t> p to the launch's shared bytes, 16-byte aligned
//   launch(stream, "name", kernel, grid, threads, shared_bytes, args...)
//   wait_for_previous()     every thread calls it once, before it reads what another kernel wrote
//                           or writes anything
//   allow_next()            the next kernel's blocks may start (they wait in turn)
//   Ptr<T>, global(T*), cast<U>(Ptr<T>), load<V>(Ptr), load_once<V>(Ptr), store(Ptr, V)
//   thread_x() block_x/y/z() grid_x/y/z() block_threads(), lane_id(), warp_id()
//   sync_block() sync_warp() shuffle(v, lane) shuffle_xor(v, mask) warp_max_bits(v) ballot(p)
//   atomic_add(Ptr, v), thread_fence()
//   madd inverse_sqrt, multiply_half add_half madd_half pack_half (two halves in a word)
//   copy16_async commit_copies wait_copies<left>, mma_f16, mma_bf16,
//   mma_nvfp4
//
// Rules that keep a source right under both:
// - Pointers are Ptr<T>; an element is read into a named type (`float v = p[i]`), never into auto
//   or a reference, and passed to a template only after that; `p + i`, not `&p[i]`.
// - Collectives (sync, shuffle, ballot, mma) are reached by all threads of the warp (of the block)
//   in uniform control flow; sync_warp() or sync_block() orders what goes through shared memory. No
//   return before one.
// - No waiting for another block. "The last block to arrive goes on" works: blocks run in any
//   order.
// - Blocks are multiples of 32 threads; 1-dimensional.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cuda/kernels.h"

namespace mokume::cuda {

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
/// FP8 E4M3: no infinities, NaN is 0x7f; largest 448.
struct Fp8 {
  uint8_t bits;
};
struct alignas(16) Float4 {
  float x, y, z, w;
};
struct alignas(8) Words2 {
  uint32_t w[2];
};
struct alignas(16) Words4 {
  uint32_t w[4];
};

inline constexpr int kWarp = 32;

}  // namespace mokume::cuda

#if defined(__CUDACC__)
#include "kernels/cuda/portable_gpu.cuh"
#else
#include "kernels/cuda/portable_host.cuh"
#endif

#include "kernels/cuda/portable_common.cuh"
