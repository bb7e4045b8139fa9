#pragma once

// Bytes that arrive in order, from a file or from memory. Readers of tables, arrays and tokens take
// this, so that the same code reads a plain file, a gzipped one, a member of an archive, and the
// bytes of a test.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "data/formats/gz_source.hpp"

namespace starling::data {

class ByteStream {
public:
    ByteStream() = default;
    virtual ~ByteStream() = default;

    /// Reads until `out` is full or the content ends. Returns the number of bytes.
    /// Errors    those of the source; every message names it
    /// Thread    any, one at a time
    [[nodiscard]] virtual Result<std::size_t> read(std::span<std::uint8_t> out) = 0;

    /// Returns a fault whose message names this source.
    [[nodiscard]] virtual Fault bad(FaultCode code, const std::string& what) const = 0;

protected:
    ByteStream(const ByteStream&) = default;
    ByteStream(ByteStream&&) = default;
    ByteStream& operator=(const ByteStream&) = default;
    ByteStream& operator=(ByteStream&&) = default;
};

/// A regular file; it is unpacked if it is gzipped.
class FileStream final : public ByteStream {
public:
    /// Errors    as GzSource::open
    [[nodiscard]] static Result<FileStream> open(const std::filesystem::path& path) {
        auto source = GzSource::open(path);
        if (!source) return source.error();
        return FileStream(std::move(*source));
    }

    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override {
        return source_.read(out);
    }

    /// Reads over so many lines, or to the end. Lines count from the current place.
    /// Errors    those of read()
    [[nodiscard]] Result<void> leave_out_lines(std::uint64_t lines) {
        std::uint8_t byte = 0;
        while (lines > 0) {
            const auto got = source_.read({&byte, 1});
            if (!got) return got.error();
            if (*got == 0) return {};
            if (byte == '\n') --lines;
        }
        return {};
    }

    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override {
        return source_.bad(code, what);
    }

private:
    explicit FileStream(GzSource source) : source_(std::move(source)) {}

    GzSource source_;
};

/// Bytes that somebody else owns and that outlive the stream.
class MemoryStream final : public ByteStream {
public:
    explicit MemoryStream(std::string_view bytes, std::string name = "memory")
        : rest_(bytes),
          name_(std::move(name)) {}

    [[nodiscard]] Result<std::size_t> read(std::span<std::uint8_t> out) override {
        const auto count = std::min(out.size(), rest_.size());
        std::copy_n(rest_.begin(), count, out.begin());
        rest_.remove_prefix(count);
        return count;
    }

    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override {
        return fail(code, name_ + ": " + what);
    }

private:
    std::string_view rest_;
    std::string name_;
};

}  // namespace starling::data
