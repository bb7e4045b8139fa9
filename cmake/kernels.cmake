# Writes the kernels' text into a header, for drivers that compile it themselves: an array of raw
# string literals, one for each piece of at most 8 KiB, because compilers bound a literal's length.
#
#   cmake -DOUTPUT=FILE -DSOURCES=A;B -P kernels.cmake
set(text "// Made by cmake/kernels.cmake; do not edit.\n#pragma once\n\n")
string(APPEND text "inline constexpr const char* kKernelText[] = {\n")
foreach(source IN LISTS SOURCES)
    file(READ ${source} content)
    string(LENGTH "${content}" length)
    set(at 0)
    while(at LESS length)
        string(SUBSTRING "${content}" ${at} 8000 piece)
        string(APPEND text "R\"kernel(${piece})kernel\",\n")
        math(EXPR at "${at} + 8000")
    endwhile()
endforeach()
string(APPEND text "};\n")
file(WRITE ${OUTPUT} "${text}")
