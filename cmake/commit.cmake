# Writes a header that names the commit of this tree, at each build: cmake -DSOURCE=... -DHEADER=... -P
# It is empty outside git, as of an archive, even one that was unpacked in somebody else's repository.
set(commit "")
find_package(Git QUIET)
if(GIT_FOUND)
    execute_process(
        COMMAND ${GIT_EXECUTABLE} rev-parse --show-toplevel
        WORKING_DIRECTORY ${SOURCE}
        OUTPUT_VARIABLE top
        OUTPUT_STRIP_TRAILING_WHITESPACE
        ERROR_QUIET
    )
    if(top STREQUAL SOURCE)
        execute_process(
            COMMAND ${GIT_EXECUTABLE} describe --always --dirty --exclude=*
            WORKING_DIRECTORY ${SOURCE}
            OUTPUT_VARIABLE commit
            OUTPUT_STRIP_TRAILING_WHITESPACE
            ERROR_QUIET
        )
    endif()
endif()
# Leaves the file as it is, and so what includes it, where nothing has changed.
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define STARLING_COMMIT \"@commit@\"\n" @ONLY)
