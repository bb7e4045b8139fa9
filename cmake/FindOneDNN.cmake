# oneDNN without its own package file: Debian's asks for OpenCL headers that a CPU build never uses.
find_path(OneDNN_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
find_library(OneDNN_LIBRARY dnnl)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OneDNN DEFAULT_MSG OneDNN_LIBRARY OneDNN_INCLUDE_DIR)
if(OneDNN_FOUND AND NOT TARGET OneDNN::dnnl)
    add_library(OneDNN::dnnl UNKNOWN IMPORTED)
    set_target_properties(
        OneDNN::dnnl
        PROPERTIES
            IMPORTED_LOCATION ${OneDNN_LIBRARY}
            INTERFACE_INCLUDE_DIRECTORIES ${OneDNN_INCLUDE_DIR}
    )
endif()
