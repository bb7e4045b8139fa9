#pragma once

// A fresh directory for one test, removed with everything in it at the end of the scope.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace starling::testing {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "starling-XXXXXX").string();
        STARLING_CHECK(mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }

    ~TemporaryDirectory() {
        std::error_code ignored;  // a leftover in the temporary directory fails no test
        std::filesystem::remove_all(path_, ignored);
    }

    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// Writes without flushing: thousands of damaged files need not reach a disk.
inline void write_quickly(const std::filesystem::path& path, ByteView bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    const auto text = as_text(bytes);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    STARLING_CHECK(file.good());
}

}  // namespace starling::testing
