# A library known by one header and its file, for those whose own package files ask for more than
# we use. Call it in a find module: it sets what find_package expects and makes the target.
include(FindPackageHandleStandardArgs)

macro(find_plain_library package target header library)
    find_path(${package}_INCLUDE_DIR ${header})
    find_library(${package}_LIBRARY ${library})
    find_package_handle_standard_args(
        ${package} DEFAULT_MSG ${package}_LIBRARY ${package}_INCLUDE_DIR
    )
    if(${package}_FOUND AND NOT TARGET ${target})
        add_library(${target} UNKNOWN IMPORTED)
        set_target_properties(
            ${target}
            PROPERTIES
                IMPORTED_LOCATION ${${package}_LIBRARY}
                INTERFACE_INCLUDE_DIRECTORIES ${${package}_INCLUDE_DIR}
        )
    endif()
endmacro()
