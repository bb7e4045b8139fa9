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
    gtest_discover_tests(
        ${ARG_NAME} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300
    )
endfunction()
