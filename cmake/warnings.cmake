# Warnings for our own code. They become errors through CMAKE_COMPILE_WARNING_AS_ERROR in the
# developer presets only, so that a newer compiler never breaks a user's build.
add_library(starling_warnings INTERFACE)
target_compile_options(
    starling_warnings
    INTERFACE
        -Wall
        -Wextra
        -Wpedantic
        -Wshadow
        -Wconversion
        -Wsign-conversion
        -Wold-style-cast
        -Woverloaded-virtual
        -Wnon-virtual-dtor
        -Wimplicit-fallthrough
)
# g++ 12 warns falsely of -Wrestrict on "literal" + std::string at -O2 and above (GCC bug 105329).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(starling_warnings INTERFACE -Wno-restrict)
endif()
