# The protobuf classes of ONNX's schema. Its own package file names libraries for building operators,
# too, which we do not use.
find_package(Protobuf REQUIRED)
find_path(OnnxProto_INCLUDE_DIR onnx/onnx-ml.pb.h)
find_library(OnnxProto_LIBRARY onnx_proto)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OnnxProto DEFAULT_MSG OnnxProto_LIBRARY OnnxProto_INCLUDE_DIR)
if(OnnxProto_FOUND AND NOT TARGET OnnxProto::onnx_proto)
    add_library(OnnxProto::onnx_proto UNKNOWN IMPORTED)
    set_target_properties(
        OnnxProto::onnx_proto
        PROPERTIES
            IMPORTED_LOCATION ${OnnxProto_LIBRARY}
            INTERFACE_INCLUDE_DIRECTORIES ${OnnxProto_INCLUDE_DIR}
            INTERFACE_COMPILE_DEFINITIONS "ONNX_ML=1;ONNX_NAMESPACE=onnx"
            INTERFACE_LINK_LIBRARIES protobuf::libprotobuf
    )
endif()
