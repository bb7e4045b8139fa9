#pragma once

// Bytes of known size that can be read anywhere: a regular file, or memory.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace starling::data {

class RandomBytes {
public:
    RandomBytes() = default;
    virtual ~RandomBytes() = default;
    RandomBytes(const RandomBytes&) = delete;
    RandomBytes& operator=(const RandomBytes&) = delete;

    [[nodiscard]] virtual std::uint64_t size() const = 0;

    /// Fills `out` with the bytes from `offset` on.
    /// Errors    Truncated (so many are not there), Io; messages name the source
    /// Thread    any, several at a time
    [[nodiscard]] virtual Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out)
        const = 0;

    /// Returns a fault that names the source.
    [[nodiscard]] virtual Fault bad(FaultCode code, const std::string& what) const = 0;
};

/// A regular file, read by pread: a mapped file that somebody cuts short would kill the process.
class FileBytes final : public RandomBytes {
public:
    /// Never waits, as opening a named pipe would.
    /// Errors    NotFound, Io, Usage (not a regular file)
    [[nodiscard]] static Result<std::unique_ptr<FileBytes>> open(const std::filesystem::path& path);

    ~FileBytes() override;
    FileBytes(const FileBytes&) = delete;
    FileBytes& operator=(const FileBytes&) = delete;

    [[nodiscard]] std::uint64_t size() const override { return size_; }

    [[nodiscard]] Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out)
        const override;

    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override {
        return fail(code, name_ + ": " + what);
    }

private:
    FileBytes(int file, std::uint64_t size, std::string name)
        : file_(file),
          size_(size),
          name_(std::move(name)) {}

    int file_;
    std::uint64_t size_;
    std::string name_;
};

/// Bytes that somebody else owns and that outlive this object.
class MemoryBytes final : public RandomBytes {
public:
    explicit MemoryBytes(std::string_view bytes, std::string name = "memory")
        : bytes_(bytes),
          name_(std::move(name)) {}

    [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }

    [[nodiscard]] Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out)
        const override {
        if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
            return bad(FaultCode::Truncated, "it ends too early");
        }
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return {};
    }

    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const override {
        return fail(code, name_ + ": " + what);
    }

private:
    std::string_view bytes_;
    std::string name_;
};

}  // namespace starling::data
