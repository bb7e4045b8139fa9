// Goal: no file harms the reader of safetensors.
// Method: libFuzzer mutates small files of ours; each is read, and its tensors are converted.

#include <cstddef>
#include <cstdint>

#include "compute/files/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto tensors = starling::compute::parse_safetensors(bytes);
    if (tensors.has_error()) return 0;
    for (const auto& tensor : *tensors) (void)tensor.values();
    return 0;
}
