#pragma once

// Files inside of tar and zip archives, one after the other; tar also gzipped or in zstd. Archives
// come from strangers: what does not belong into a data set (links, devices, paths that lead out,
// two files of one name) refuses the archive, and what unpacks to far more than it is, too.
//
// archive.cpp is the only home of libarchive, of which it enables just these formats.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace starling::data {

inline constexpr std::uint64_t kArchiveEntriesMax = std::uint64_t{1} << 22U;
/// An archive may unpack to kArchiveFreeBytes, and beyond that to kArchiveRatioMax times its own size.
/// Data sets shrink by 2 to 20; only what is made for it (or is empty) shrinks by 250.
inline constexpr std::uint64_t kArchiveFreeBytes = std::uint64_t{64} << 20U;
inline constexpr std::uint64_t kArchiveRatioMax = 250;

struct ArchiveLimits {
    /// Most bytes of all entries together, unpacked, those that are skipped included.
    std::uint64_t bytes_max = std::uint64_t{1} << 40U;
};

struct ArchiveEntry {
    std::string name;                   ///< bytes, mostly UTF-8; without `./` and doubled slashes
    std::optional<std::uint64_t> size;  ///< bytes, as stated
    bool regular = false;               ///< a file; otherwise a folder
    /// Where the file's bytes lie in the archive, if they lie there as they are (in a plain tar).
    std::optional<std::uint64_t> offset;
};

/// An open archive. Every message names the archive, and the entry where there is one.
///
/// A tar that was cut between two entries, and so lacks its end mark, looks like a whole one: many
/// programs write none. Bytes behind the end are ignored.
///
/// Thread    one at a time
class Archive {
public:
    /// Opens a file and looks at its beginning. A zip is also searched for its directory.
    /// Errors    NotFound, Io, Usage (not a regular file), BadFormat (neither tar nor zip), Truncated
    [[nodiscard]] static Result<Archive> open(
        const std::filesystem::path& path, const ArchiveLimits& limits
    );

    /// Reads an archive in memory, which must outlive it. Messages name it `name`.
    /// Errors    as open
    [[nodiscard]] static Result<Archive> over(
        ByteView bytes, const std::string& name, const ArchiveLimits& limits
    );

    /// Goes to the next entry, or returns nothing at the end. What was not read of the last entry is
    /// skipped. After a fault the archive gives nothing but faults.
    /// Errors    Truncated, Corrupt; BadFormat (a path that is absolute or contains `..`, two files of
    ///           one name, links, devices); Unsupported (encrypted); Oversized (entries, names,
    ///           unpacked bytes); Io
    [[nodiscard]] Result<std::optional<ArchiveEntry>> next();

    /// Reads on in the entry. Returns the number of bytes, 0 at the entry's end.
    /// Requires  next() returned an entry that is a file; `out` is not empty
    /// Errors    Truncated, Corrupt (checksums), Oversized (bytes_max), Io
    [[nodiscard]] Result<std::size_t> read_some(std::span<std::byte> out);

    /// Replaces `out` by the whole rest of the entry. Memory grows with what is there.
    /// Errors    as read_some; Oversized: more than `bytes_max`, which leaves the archive usable
    [[nodiscard]] Result<void> read(Bytes& out, std::uint64_t bytes_max);

    /// Returns how many bytes of the archive's file were read, for progress. With size() it gives a
    /// fraction.
    [[nodiscard]] std::uint64_t position() const;

    /// Returns the size of the archive's file.
    [[nodiscard]] std::uint64_t size() const;

private:
    struct State;

    struct Close {
        void operator()(State* state) const;
    };

    explicit Archive(std::unique_ptr<State, Close> state) : state_(std::move(state)) {}

    [[nodiscard]] static Result<Archive> start(std::unique_ptr<State, Close> state);
    [[nodiscard]] Result<void> skip_rest();
    [[nodiscard]] Result<ArchiveEntry> examine_entry();
    [[nodiscard]] Result<void> count_bytes(std::uint64_t more);
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what);
    [[nodiscard]] Fault library_fault(const std::string& doing);

    std::unique_ptr<State, Close> state_;
};

}  // namespace starling::data
