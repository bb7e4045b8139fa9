#pragma once

// Files of tests/golden/, and the pictures among them.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "data/media/image.hpp"

namespace starling::data::testing {

inline std::filesystem::path golden_path(const std::string& name) {
    return std::filesystem::path(STARLING_SOURCE_DIR) / "tests/golden" / name;
}

inline Bytes read_bytes(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    STARLING_CHECK(in.good());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto bytes = as_byte_view(text);
    return {bytes.begin(), bytes.end()};
}

inline Bytes golden(const std::string& name) {
    return read_bytes(golden_path(name));
}

/// Reads a PNM as tests/golden/images.py writes it.
inline Image golden_pnm(const std::string& name) {
    const auto bytes = golden(name);
    std::istringstream in{std::string(as_text(bytes))};
    std::string magic;
    std::uint32_t most = 0;
    Image image;
    in >> magic >> image.width >> image.height >> most;
    in.get();
    STARLING_CHECK((magic == "P5" || magic == "P6") && most == 255);
    image.channels = magic == "P5" ? 1 : 3;
    image.values.assign(std::istreambuf_iterator<char>(in), {});
    STARLING_CHECK(image.values.size() == std::size_t{image.width} * image.height * image.channels);
    return image;
}

}  // namespace starling::data::testing
