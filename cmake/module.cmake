# One static library per module, with an explicit list of sources and of allowed links.
#
#   starling_module(NAME membership SOURCES swim.cpp ... LINKS starling_base PRIVATE_LINKS cereal)
#
# HEADERS are further headers that nearly all of its sources include and that are worth parsing once.
# OPENMP says that it is compiled with OpenMP, be it through LINKS.
function(starling_module)
    cmake_parse_arguments(ARG "OPENMP" "NAME" "SOURCES;LINKS;PRIVATE_LINKS;HEADERS" ${ARGN})
    set(target starling_${ARG_NAME})
    add_library(${target} STATIC ${ARG_SOURCES})
    target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(
        ${target}
        PUBLIC ${ARG_LINKS}
        PRIVATE starling_warnings starling_sanitizers ${ARG_PRIVATE_LINKS}
    )
    if(ARG_OPENMP)
        set(starling_headers_here starling_openmp_headers)
    endif()
    starling_precompile(${target} ${starling_headers_here} ${ARG_HEADERS})
    starling_join_sources(${target})
endfunction()

# One test program; LABELS are ctest labels (unit, sim, system, slow, net, handoff).
#
#   starling_test(NAME membership_test SOURCES ... LINKS ... LABELS unit)
function(starling_test)
    cmake_parse_arguments(ARG "OPENMP" "NAME" "SOURCES;LINKS;LABELS" ${ARGN})
    add_executable(${ARG_NAME} ${ARG_SOURCES})
    target_link_libraries(
        ${ARG_NAME}
        PRIVATE ${ARG_LINKS} GTest::gtest GTest::gtest_main starling_warnings starling_sanitizers
    )
    if(ARG_OPENMP)
        starling_precompile(${ARG_NAME} starling_openmp_test_headers)
    else()
        starling_precompile(${ARG_NAME} starling_test_headers)
    endif()
    starling_join_sources(${ARG_NAME})
    # Two labels become one, unit+net, which -L unit and -L net both match: on its way into ctest's file
    # a list of them would fall apart, and take the time limit with it.
    list(JOIN ARG_LABELS + labels)
    # OpenMP's threads would wait for each other at full speed, and several tests share the cores.
    gtest_discover_tests(
        ${ARG_NAME}
        DISCOVERY_TIMEOUT 60
        PROPERTIES LABELS "${labels}" TIMEOUT 300 ENVIRONMENT OMP_WAIT_POLICY=PASSIVE
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
        add_executable(${target} ${ARG_NAME}_fuzz.cpp)
        target_link_libraries(${target} PRIVATE starling_replay)
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
