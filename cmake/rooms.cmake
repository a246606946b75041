# One static library per room; a room may link only the rooms that docs/architecture.md draws an arrow to.

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(spdlog REQUIRED)

# mokume_room(name DEPS rooms and libraries ...): every .cc of the current folder (not of its sub-folders) becomes
# the static library mokume_<name>.
function(mokume_room name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(sources)
    add_library(mokume_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(mokume_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(mokume_${name} ${scope} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}
                                                     ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(mokume_${name} ${scope} mokume_flags ${ARG_DEPS})
endfunction()

# mokume_test(room): every .cc of tests/unit/<room> becomes the program test_<room>, run by ctest as one test.
function(mokume_test room)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/unit/${room}/*.cc)
  if(sources)
    add_executable(test_${room} ${sources})
    target_link_libraries(test_${room} PRIVATE mokume_${room} ${ARG_DEPS} GTest::gmock GTest::gtest_main)
    target_compile_definitions(test_${room} PRIVATE MOKUME_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME unit.${room} COMMAND test_${room})
  endif()
endfunction()
