# Headers that nearly every source includes are parsed once for all targets: half of a small source's
# time goes into them. Left to ccache where there is one: it keeps whole objects, but none that such a
# header went into. Sources include what they use all the same, and build without.
set(
    common_headers
    <algorithm>
    <array>
    <chrono>
    <cmath>
    <cstdint>
    <filesystem>
    <functional>
    <map>
    <memory>
    <optional>
    <span>
    <string>
    <string_view>
    <utility>
    <vector>
)
if(CMAKE_CXX_COMPILER_LAUNCHER OR STARLING_FUZZ)
    set(precompile OFF)
else()
    set(precompile ON)
endif()

# g++ 12 forgets which of these headers are the system's, and then warns of what -Wno-restrict is for
# under these names, too.
if(precompile AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(starling_warnings INTERFACE -Wno-array-bounds -Wno-stringop-overflow)
endif()

# NAME borrows nothing: others borrow from it what HEADERS, beside the common ones, became under the
# compile options of this folder and of LINKS. A compiler takes precompiled headers only under the same.
#
#   starling_header_owner(NAME starling_test_headers LINKS ... HEADERS <gtest/gtest.h>)
function(starling_header_owner)
    cmake_parse_arguments(ARG "" "NAME" "LINKS;HEADERS" ${ARGN})
    if(NOT precompile)
        return()
    endif()
    set(source ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}.cpp)
    file(WRITE ${source} "// Exists to have its headers precompiled.\n")
    add_library(${ARG_NAME} OBJECT ${source})
    target_link_libraries(
        ${ARG_NAME} PRIVATE ${ARG_LINKS} starling_warnings starling_sanitizers
    )
    target_precompile_headers(${ARG_NAME} PRIVATE ${common_headers} ${ARG_HEADERS})
endfunction()

# A target borrows the owner's headers; with further headers of its own, it borrows nothing.
function(starling_precompile target owner)
    if(NOT precompile)
        return()
    endif()
    if(ARGN)
        target_precompile_headers(${target} PRIVATE ${common_headers} ${ARGN})
    else()
        target_precompile_headers(${target} REUSE_FROM ${owner})
    endif()
endfunction()

set(starling_headers_here starling_headers)
starling_header_owner(NAME starling_headers)

# For the same reason sources are compiled in batches where headers are precompiled: a build from nothing
# takes half as long. A build with ccache compiles each alone, and so shows what does not include what it uses.
find_package(Python3 3.9 COMPONENTS Interpreter)
if(precompile AND Python3_FOUND)
    set(join_sources ON)
    # In a batch these are said of names and types of another source, which no one source sees.
    target_compile_options(starling_warnings INTERFACE -Wno-shadow -Wno-subobject-linkage)
endif()
function(starling_join_sources target)
    if(NOT join_sources)
        return()
    endif()
    get_target_property(sources ${target} SOURCES)
    execute_process(
        COMMAND
            ${Python3_EXECUTABLE} -S -B ${PROJECT_SOURCE_DIR}/cmake/join_sources.py
            ${PROJECT_SOURCE_DIR} ${sources}
        WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}
        OUTPUT_VARIABLE batches
        OUTPUT_STRIP_TRAILING_WHITESPACE
        COMMAND_ERROR_IS_FATAL ANY
    )
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    string(REPLACE ";" "," batches "${batches}")
    string(REPLACE "\n" ";" batches "${batches}")
    foreach(batch IN LISTS batches)
        string(REPLACE "," ";" batch "${batch}")
        list(POP_FRONT batch name)
        set_source_files_properties(${batch} PROPERTIES UNITY_GROUP ${name})
    endforeach()
endfunction()
