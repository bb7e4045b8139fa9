#pragma once

// Reads a regular file and unpacks it if it begins as a gzipped one does. zlib's own reader of files
// drops in silence whatever follows the last gzip stream; this one takes it for damage, except
// further streams and the zeros with which tapes and disks fill their blocks.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/result.hpp"

namespace starling::data {

class GzSource {
public:
    /// Never waits, as opening a named pipe would.
    /// Errors    NotFound, Io, Usage (not a regular file); every message of this class names the file
    [[nodiscard]] static Result<GzSource> open(const std::filesystem::path& path);

    /// Reads until `out` is full or the content ends. Returns the number of bytes.
    /// Bytes behind the last gzip stream are left out, and noted (data/reading.hpp).
    /// Errors    Truncated, Corrupt, Io, Cancelled
    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out);

    /// Returns a fault whose message names this file.
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const {
        return fail(code, name_ + ": " + what);
    }

private:
    struct Reader;

    struct Close {
        void operator()(Reader* reader) const;
    };

    GzSource(std::unique_ptr<Reader, Close> reader, std::string name)
        : reader_(std::move(reader)),
          name_(std::move(name)) {}

    [[nodiscard]] Result<void> fill();
    [[nodiscard]] Result<std::size_t> unpack(std::span<std::uint8_t> out);
    [[nodiscard]] Result<bool> begins_stream();
    void leave_out_rest();

    std::unique_ptr<Reader, Close> reader_;
    std::string name_;
};

}  // namespace starling::data
