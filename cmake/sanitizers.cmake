# Sanitizers for every target of ours; the presets asan and tsan choose.
add_library(starling_sanitizers INTERFACE)
if(STARLING_SANITIZE STREQUAL "address")
    target_compile_options(
        starling_sanitizers
        INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
    )
    target_link_options(starling_sanitizers INTERFACE -fsanitize=address,undefined)
elseif(STARLING_SANITIZE STREQUAL "thread")
    target_compile_options(
        starling_sanitizers INTERFACE -fsanitize=thread -fno-omit-frame-pointer
    )
    target_link_options(starling_sanitizers INTERFACE -fsanitize=thread)
    # g++ warns that the sanitizer does not see fences: Asio has some beside its mutexes, which it sees.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        target_compile_options(starling_sanitizers INTERFACE -Wno-tsan)
    endif()
elseif(STARLING_SANITIZE)
    message(FATAL_ERROR "STARLING_SANITIZE is '${STARLING_SANITIZE}'; use address or thread")
endif()
