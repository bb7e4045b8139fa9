// Goal: no bytes that claim to be a DICOM file crash, and what is read is a whole picture. Method: the
// input is the file; each is read with the window that it names and with one of ours.

#include <cstdint>
#include <cstdlib>

#include "data/formats/dicom.hpp"

namespace {

using namespace starling;
using namespace starling::data;

void read(ByteView file, const std::optional<GreyWindow>& window) {
    const auto picture = read_dicom(file, window);
    if (!picture) return;
    const auto& image = *picture;
    const bool whole = image.channels == 1 && image.height > 0 && image.width > 0 &&
                       image.values.size() == std::size_t{image.height} * image.width;
    if (!whole) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    read(bytes, std::nullopt);
    read(bytes, GreyWindow{40.0, 400.0});
    return 0;
}
