# Fuzz target of what peers say of themselves, of their swarm and of their data.
find_package(cereal REQUIRED)
find_package(OpenSSL 3 REQUIRED)
set(sources)
foreach(name peer/streams/frame peer/streams/greeting peer/terms/record peer/terms/descriptor_codec peer/terms/descriptor peer/terms/until
             peer/crypto/sha256 data/codec
             data/manifest data/utf8)
    list(APPEND sources ${PROJECT_SOURCE_DIR}/${name}.cpp)
endforeach()
add_executable(descriptions_fuzz descriptions_fuzz.cpp ${sources})
target_include_directories(descriptions_fuzz PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(
    descriptions_fuzz PRIVATE starling_base starling_warnings cereal::cereal OpenSSL::Crypto
)
target_link_options(descriptions_fuzz PRIVATE -fsanitize=fuzzer)
