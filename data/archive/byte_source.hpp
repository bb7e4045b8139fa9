#pragma once

// Where an archive's bytes come from: a file or a span, plain or gzipped. libarchive can unpack gzip
// itself, but looks at no checksum of it; zlib does.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

/// Bytes that are read one after the other, and from any place where they are not gzipped.
///
/// Thread    one at a time
class ByteSource {
public:
    /// Opens a regular file. Never waits, as opening a named pipe would.
    /// Errors    NotFound, Io, Usage (not a regular file); no message of this class names the file
    [[nodiscard]] static Result<ByteSource> open(const std::filesystem::path& path);

    /// Reads a span, which must outlive the source.
    [[nodiscard]] static ByteSource over(ByteView bytes);

    /// Returns the number of bytes of the file, as it lies there.
    [[nodiscard]] std::uint64_t size() const;

    /// Returns how many bytes of the file were taken so far, or where the next ones are read.
    [[nodiscard]] std::uint64_t position() const;

    [[nodiscard]] bool gzipped() const;

    /// Reads up to out.size() bytes, unpacked. Returns 0 at the end only. Bytes behind the last gzip
    /// stream are ignored.
    /// Errors    Truncated, Corrupt (gzip); Io
    [[nodiscard]] Result<std::size_t> read(std::span<std::byte> out);

    /// Reads on from a place of a source that is not gzipped. It may lie behind the end.
    void seek(std::uint64_t position);

private:
    struct State;

    struct Close {
        void operator()(State* state) const;
    };

    explicit ByteSource(std::unique_ptr<State, Close> state) : state_(std::move(state)) {}

    /// Looks whether a gzip stream begins at the file's next byte.
    [[nodiscard]] Result<bool> gzip_begins();
    [[nodiscard]] Result<std::size_t> read_stored(std::span<std::byte> out);
    [[nodiscard]] Result<bool> fill();
    [[nodiscard]] Result<std::size_t> unpack(std::span<std::byte> out);

    std::unique_ptr<State, Close> state_;
};

}  // namespace starling::data
