# What building with CUDA needs. The GPUs: a cubin for each of these, and PTX for later ones.
set(MOKUME_CUDA_ARCHITECTURES "80-real;86-real;89-real;90a-real;100a-real;120a-real;120-virtual" CACHE STRING
    "GPUs to build for, as CMAKE_CUDA_ARCHITECTURES takes them")
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
endif()
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it of every nvcc that has it
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
  message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} knows no sm_100a or sm_120a; 12.8 or later is needed")
endif()
find_package(CUDAToolkit REQUIRED)
