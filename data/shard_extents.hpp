#pragma once

// A shard that stays where its owner has it: a list says of which files, and which extents of them, it consists.
// So whoever has the files needs no second copy of them. The list itself holds the shard's head
// (header, ends of records, labels), because that is read often.
//
// The bytes of a list:
//
//   offset  size  field
//        0     4  magic "XTNT"
//        4     2  version: 1
//        6     2  0
//        8     4  bytes of the head
//       12     4  extents
//       16     4  files
//       20     4  bytes of all names
//       24        the head: the first bytes of the shard
//                 of each extent 16 bytes: u32 file, u32 first byte behind the head, u64 offset in the file
//                 u32 bytes behind the head, u32 0
//                 of each file 24 bytes: u64 size, i64 time of change (ns since 1970), u32 end of its
//                 name, u32 0
//                 the names: absolute paths, one behind the other
//
// Lists are files of our own state directory. They are checked all the same, since a disk may damage them.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/shared_bytes.hpp"
#include "data/formats/user_file.hpp"

namespace starling::data {

/// Bytes in a user's file, as they were when the file was scanned.
struct FileExtent {
    std::string path;  ///< absolute
    FileState state;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
};

/// Returns a list's bytes. The shard is the head and then the bytes at the extents, in their order.
/// Requires  together at most kShardBytesMax
[[nodiscard]] Bytes encode_extents(ByteView head, std::span<const FileExtent> extents);

/// Thread    any, several at a time
class ShardExtents {
public:
    /// Reads a list. No file is looked at.
    /// Errors    BadFormat
    [[nodiscard]] static Result<std::shared_ptr<const ShardExtents>> open(SharedBytes list);

    ShardExtents(const ShardExtents&) = delete;
    ShardExtents& operator=(const ShardExtents&) = delete;
    ~ShardExtents() = default;

    [[nodiscard]] ByteView head() const { return head_; }

    /// Returns the bytes of the whole shard.
    [[nodiscard]] std::size_t size() const { return head_.size() + body_; }

    /// Appends `length` of the shard's bytes from `offset` on.
    /// Requires  offset + length <= size()
    /// Errors    NotFound, Io; Corrupt (a file is not the one that was scanned). changed() is true from
    ///           then on, and `out` is as it was
    [[nodiscard]] Result<void> read(std::size_t offset, std::size_t length, Bytes& out) const;

    /// Checks that the file at the first extent is the one that was scanned. Whether people have moved or
    /// removed their files is known so without a look at each.
    /// Errors    as read()
    [[nodiscard]] Result<void> check_first() const;

    /// Returns whether a read has failed.
    [[nodiscard]] bool changed() const { return changed_file_ != kNone; }

    /// Returns the path of the file of which a read has failed.
    /// Requires  changed()
    [[nodiscard]] std::string changed_file() const { return file(changed_file_).path; }

private:
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    struct Extent {
        std::uint32_t file = 0;
        std::uint32_t begin = 0;  ///< behind the head
        std::uint64_t offset = 0;
    };

    struct File {
        FileState state;
        std::string path;
    };

    ShardExtents() = default;
    [[nodiscard]] Extent extent(std::size_t number) const;
    [[nodiscard]] std::uint32_t end(std::size_t number) const;
    [[nodiscard]] std::uint32_t name_end(std::size_t file) const;
    [[nodiscard]] File file(std::size_t number) const;
    [[nodiscard]] bool sound() const;
    Result<void> read_extent(const Extent& from, std::size_t skip, std::size_t length, Bytes& out)
        const;

    SharedBytes list_;
    ByteView head_;
    ByteView extents_;
    ByteView files_;
    ByteView names_;
    std::size_t body_ = 0;  ///< bytes behind the head
    mutable std::atomic<std::uint32_t> changed_file_{kNone};
};

}  // namespace starling::data
