# One static library per module, with an explicit list of sources and of allowed links.
#
#   starling_module(NAME membership SOURCES swim.cpp ... LINKS starling_base PRIVATE_LINKS cereal)
function(starling_module)
    cmake_parse_arguments(ARG "" "NAME" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
    set(target starling_${ARG_NAME})
    add_library(${target} STATIC ${ARG_SOURCES})
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(
        ${target}
        PUBLIC ${ARG_LINKS}
        PRIVATE starling_warnings starling_sanitizers ${ARG_PRIVATE_LINKS}
    )
endfunction()

# Parses headers once for a target whose sources nearly all include them: a test's gtest.h is a second
# of each. Left to ccache where there is one: it keeps whole objects, but none that such a header went into.
function(starling_precompile target)
    if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
        target_precompile_headers(${target} PRIVATE ${ARGN})
    endif()
endfunction()

# One test program; LABELS are ctest labels (unit, sim, system, slow, net, handoff).
#
#   starling_test(NAME membership_test SOURCES ... LINKS ... LABELS unit)
function(starling_test)
    cmake_parse_arguments(ARG "" "NAME" "SOURCES;LINKS;LABELS" ${ARGN})
    add_executable(${ARG_NAME} ${ARG_SOURCES})
    target_link_libraries(
        ${ARG_NAME}
        PRIVATE ${ARG_LINKS} GTest::gtest GTest::gtest_main starling_warnings starling_sanitizers
    )
    list(LENGTH ARG_SOURCES sources)
    if(sources GREATER 3)
        starling_precompile(${ARG_NAME} <gtest/gtest.h>)
    endif()
    # Two labels become one, unit+net, which -L unit and -L net both match: on its way into ctest's file
    # a list of them would fall apart, and take the time limit with it.
    list(JOIN ARG_LABELS + labels)
    gtest_discover_tests(
        ${ARG_NAME} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${labels}" TIMEOUT 300
    )
endfunction()

# One fuzz target, NAME_fuzz.cpp, linked against the modules' own libraries. The preset `fuzz` makes
# NAME_fuzz of it, with libFuzzer. Every other build makes NAME_replay, which reads the corpus in
# corpus/NAME once, as a ctest that needs neither clang nor libFuzzer.
#
#   starling_fuzz(NAME onnx MODULES compute)
function(starling_fuzz)
    cmake_parse_arguments(ARG "" "NAME" "MODULES" ${ARGN})
    list(TRANSFORM ARG_MODULES PREPEND starling_)
    if(STARLING_FUZZ)
        set(target ${ARG_NAME}_fuzz)
        add_executable(${target} ${ARG_NAME}_fuzz.cpp)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        set(target ${ARG_NAME}_replay)
        add_executable(${target} ${ARG_NAME}_fuzz.cpp replay_main.cpp)
        add_test(
            NAME Corpus.${ARG_NAME}
            COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${ARG_NAME}
        )
        set_tests_properties(Corpus.${ARG_NAME} PROPERTIES LABELS unit TIMEOUT 120)
    endif()
    target_link_libraries(
        ${target} PRIVATE ${ARG_MODULES} starling_warnings starling_sanitizers
    )
endfunction()
