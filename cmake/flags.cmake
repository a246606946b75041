# How all of our code is compiled.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(mokume_flags INTERFACE)
target_compile_options(mokume_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  # g++ 12 sees overlaps in inlined string code, and uninitialized members in variants, that are not there.
  "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-maybe-uninitialized>")
if(MOKUME_SANITIZE)
  target_compile_options(mokume_flags INTERFACE -fsanitize=${MOKUME_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(mokume_flags INTERFACE -fsanitize=${MOKUME_SANITIZE})
endif()
