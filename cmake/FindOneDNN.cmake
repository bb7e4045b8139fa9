# oneDNN without its own package file: Debian's asks for OpenCL headers that a CPU build never uses.
include(plain_library)
find_plain_library(OneDNN OneDNN::dnnl oneapi/dnnl/dnnl.hpp dnnl)
