# The kernels that are built twice: by nvcc for GPUs, by the host compiler for the executor.
set(MOKUME_CUDA_SOURCES)
foreach(op table attention_decode attention_prefill delta_net_decode delta_net_prefill dequantize embed gemm matvec
           pack_nvfp4 products_exact products_exact_int products_float products_fp4 products_int quantize_nvfp4 rescale
           rms_norm rope_append sample silu_mul)
  list(APPEND MOKUME_CUDA_SOURCES ${CMAKE_SOURCE_DIR}/kernels/cuda/${op}.cu)
endforeach()
