# The kernels that are built twice: by nvcc for GPUs, by the host compiler for the executor.
set(MOKUME_CUDA_SOURCES)
foreach(op table embed)
  list(APPEND MOKUME_CUDA_SOURCES ${CMAKE_SOURCE_DIR}/kernels/cuda/${op}.cu)
endforeach()
