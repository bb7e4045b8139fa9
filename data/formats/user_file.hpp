#pragma once

// A user's file that is read piece by piece with pread, and what tells that it is still the one that was
// scanned. Nothing of it is mapped: a mapped file that somebody cuts short would kill the process.

#include <cstdint>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

/// A file that has the same size and time is taken for the one that it was.
struct FileState {
    std::uint64_t size = 0;
    std::int64_t changed = 0;  ///< its last change, ns since 1970

    friend bool operator==(const FileState&, const FileState&) = default;
};

[[nodiscard]] FileState state_of(const struct stat& facts);

/// Errors    NotFound, Io
[[nodiscard]] Result<FileState> state_of_file(const std::string& path);

/// An open file, closed when it goes.
class Descriptor {
public:
    Descriptor() = default;

    explicit Descriptor(int number) : number_(number) {}

    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }

    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    [[nodiscard]] int number() const { return number_; }

    [[nodiscard]] bool open() const { return number_ >= 0; }

private:
    int number_ = -1;
};

/// Returns the fault of the system call that has just failed.
[[nodiscard]] Fault system_fault(const std::string& path, const char* what);

class UserFile {
public:
    UserFile() = default;

    /// Never waits, as opening a named pipe would.
    /// Errors    NotFound, Io
    [[nodiscard]] static Result<UserFile> open(std::string path);

    [[nodiscard]] bool is_open() const { return descriptor_.open(); }

    /// Checks that the file is the one that was scanned. It may change while it is open, too.
    /// Errors    Corrupt, Io
    [[nodiscard]] Result<void> check(const FileState& scanned) const;

    /// Appends `length` bytes from `offset` on.
    /// Errors    Corrupt (the file has become shorter), Io; `out` is then as it was
    [[nodiscard]] Result<void> read(std::uint64_t offset, std::size_t length, Bytes& out) const;

private:
    UserFile(Descriptor descriptor, std::string path)
        : descriptor_(std::move(descriptor)),
          path_(std::move(path)) {}

    Descriptor descriptor_;
    std::string path_;
};

/// Appends `length` bytes of an open file. `name` stands in faults.
/// Errors    as UserFile::read
[[nodiscard]] Result<void> read_piece(
    const Descriptor& file,
    const std::string& name,
    std::uint64_t offset,
    std::size_t length,
    Bytes& out
);

}  // namespace starling::data
