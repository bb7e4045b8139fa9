# Fuzz target of the machine of an exchange.
find_package(cereal REQUIRED)
file(
    STRINGS ${PROJECT_SOURCE_DIR}/gossip/CMakeLists.txt lines
    REGEX "^ +((encoding|mixing)/)?[a-z_0-9]+[.]cpp$"
)
set(sources)
foreach(line IN LISTS lines)
    string(STRIP "${line}" name)
    list(APPEND sources ${PROJECT_SOURCE_DIR}/gossip/${name})
endforeach()
add_executable(exchange_fuzz exchange_fuzz.cpp ${sources})
target_include_directories(exchange_fuzz PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(exchange_fuzz PRIVATE starling_base starling_warnings cereal::cereal)
target_compile_options(exchange_fuzz PRIVATE -fopenmp-simd -Wno-pass-failed)
target_link_options(exchange_fuzz PRIVATE -fsanitize=fuzzer)
