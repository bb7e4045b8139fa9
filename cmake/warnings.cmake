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
