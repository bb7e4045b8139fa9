# The kernels of graphics cards as PTX, NVIDIA's portable assembly, by clang alone: nothing of
# NVIDIA's toolkit is needed. STARLING_CUDA is AUTO, ON or OFF; AUTO leaves the PTX out where no clang
# writes it, and says so.
set(STARLING_CUDA AUTO CACHE STRING "Compile the kernels to PTX, which wants clang: AUTO, ON or OFF")
set_property(CACHE STARLING_CUDA PROPERTY STRINGS AUTO ON OFF)

# sm_60 has the kernels that any card of the last ten years runs; sm_80 multiplies bf16 on tensor cores.
# PTX's version is named, because a driver refuses what is newer than itself, and the default differs from clang to
# clang: 5.0 wants a driver of 2016, 7.0 one of 2020.
set(starling_ptx_targets sm_60 sm_80)
set(starling_ptx_version_sm_60 ptx50)
set(starling_ptx_version_sm_80 ptx70)

set(starling_ptx_flags
    -x cuda
    --cuda-device-only
    --cuda-path=/nonexistent # an installed toolkit would change the version
    -nocudainc
    -nocudalib
    -O3
    -ffp-contract=off
    -fno-builtin
    -S
)

# Sets `found` to the version that a clang writes for a target, or to nothing.
function(starling_ptx_probe clang target found)
    set(folder ${PROJECT_BINARY_DIR}/ptx-probe)
    file(
        WRITE ${folder}/probe.cu
        "extern \"C\" __attribute__((global)) void probe(float *x) { *x = 1.0f; }\n"
    )
    set(output ${folder}/${target}.ptx)
    file(REMOVE ${output})
    execute_process(
        COMMAND
            ${clang} ${starling_ptx_flags} --cuda-gpu-arch=${target}
            -Xclang -target-feature -Xclang +${starling_ptx_version_${target}}
            ${folder}/probe.cu -o ${output}
        RESULT_VARIABLE failed
        OUTPUT_QUIET ERROR_QUIET
    )
    set(${found} "" PARENT_SCOPE)
    if(failed OR NOT EXISTS ${output})
        return()
    endif()
    file(STRINGS ${output} version REGEX "^\\.version ")
    string(REPLACE ".version " "" version "${version}")
    set(${found} "${version}" PARENT_SCOPE)
endfunction()

# Makes the target starling_ptx, which compiles sources to PTX for each of the targets, and sets
# STARLING_PTX to the folder that holds TARGET.ptx. Without a clang that can, STARLING_PTX is empty.
#
#   starling_ptx(SOURCES dialect.h cuda_math.h kernels/rows.gpu ...)
function(starling_ptx)
    cmake_parse_arguments(ARG "" "" "SOURCES" ${ARGN})
    set(STARLING_PTX "" PARENT_SCOPE)
    if(STARLING_CUDA STREQUAL "OFF")
        message(STATUS "Kernels for CUDA: left out, STARLING_CUDA is OFF")
        return()
    endif()
    # The names of Debian's and Ubuntu's packages; any of them does.
    find_program(
        STARLING_CUDA_CLANG
        NAMES clang++ clang++-19 clang++-18 clang++-16 clang++-14
        DOC "The clang that compiles the kernels to PTX"
    )
    set(versions "")
    set(able FALSE)
    if(STARLING_CUDA_CLANG)
        set(able TRUE)
        foreach(target IN LISTS starling_ptx_targets)
            starling_ptx_probe(${STARLING_CUDA_CLANG} ${target} version)
            if(NOT version)
                set(able FALSE)
            endif()
            list(APPEND versions "${version} (${target})")
        endforeach()
    endif()
    if(NOT able AND STARLING_CUDA STREQUAL "AUTO")
        message(STATUS "Kernels for CUDA: left out, no clang with the target NVPTX is here (Debian: clang)")
        return()
    endif()
    if(NOT able)
        message(
            FATAL_ERROR
            "STARLING_CUDA is ON, but no clang with the target NVPTX was found (Debian: clang); name one with -DSTARLING_CUDA_CLANG=PROGRAM"
        )
    endif()
    list(JOIN versions ", " versions)
    message(STATUS "Kernels for CUDA: PTX ${versions} by ${STARLING_CUDA_CLANG}")
    set(folder ${CMAKE_CURRENT_BINARY_DIR}/ptx)
    set(text "// Made by cmake/ptx.cmake; do not edit.\n")
    foreach(source IN LISTS ARG_SOURCES)
        string(APPEND text "#include \"${source}\"\n")
    endforeach()
    file(CONFIGURE OUTPUT ${folder}/kernels.cu CONTENT "${text}" @ONLY)
    set(outputs "")
    foreach(target IN LISTS starling_ptx_targets)
        add_custom_command(
            OUTPUT ${folder}/${target}.ptx
            COMMAND
                ${STARLING_CUDA_CLANG} ${starling_ptx_flags} --cuda-gpu-arch=${target}
                -Xclang -target-feature -Xclang +${starling_ptx_version_${target}}
                ${folder}/kernels.cu -o ${folder}/${target}.ptx
            DEPENDS ${folder}/kernels.cu ${ARG_SOURCES}
            VERBATIM
        )
        list(APPEND outputs ${folder}/${target}.ptx)
    endforeach()
    add_custom_target(starling_ptx ALL DEPENDS ${outputs})
    set(STARLING_PTX ${folder} PARENT_SCOPE)
endfunction()
