// Goal: no file harms the reader of ONNX models.
// Method: libFuzzer mutates small models of ours; each input is read for inference, for training
// with another batch size, and as it stands. Sanitizers and the reader's own checks judge.

#include <cstddef>
#include <cstdint>

#include "compute/onnx/import.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace starling::compute;  // NOLINT(google-build-using-namespace) one function
    const auto bytes = std::as_bytes(std::span(data, size));
    onnx::ImportOptions options;
    (void)onnx::import_onnx(bytes, options);
    options.recognise = false;
    options.float_inputs = true;
    options.batch = 4;
    options.purpose = Purpose::Training;
    (void)onnx::import_onnx(bytes, options);
    (void)onnx::read_tensor(bytes);
    return 0;
}
