# The protobuf classes of ONNX's schema. Its own package file names libraries for building operators,
# too, which we do not use.
include(plain_library)
find_package(Protobuf REQUIRED)
find_plain_library(OnnxProto OnnxProto::onnx_proto onnx/onnx-ml.pb.h onnx_proto)
if(OnnxProto_FOUND)
    target_compile_definitions(OnnxProto::onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
    target_link_libraries(OnnxProto::onnx_proto INTERFACE protobuf::libprotobuf)
endif()
