#pragma once

// Reads a file and unpacks it if it is gzipped. zlib recognises a gzipped file by its first bytes.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"

namespace starling::data {

class GzSource {
public:
    /// Errors    NotFound, Io; every message of this class names the file
    [[nodiscard]] static Result<GzSource> open(const std::filesystem::path& path);

    /// Reads until `out` is full or the content ends. Returns the number of bytes.
    /// Errors    Truncated, Corrupt, Io
    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out);

    /// Returns a fault whose message names this file.
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const {
        return fail(code, name_ + ": " + what);
    }

private:
    struct Close {
        void operator()(void* file) const;
    };

    GzSource(void* file, std::string name) : file_(file), name_(std::move(name)) {}

    [[nodiscard]] Fault fault() const;

    std::unique_ptr<void, Close> file_;  ///< zlib's gzFile
    std::string name_;
};

}  // namespace starling::data
