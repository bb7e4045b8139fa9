#pragma once

// The pages that a column's values lie in, one after the other.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/parquet/metadata.hpp"

namespace starling::data {

inline constexpr std::size_t kParquetPageBytesMax = std::size_t{64} << 20U;
inline constexpr std::size_t kParquetPageHeadBytesMax = std::size_t{1} << 20U;
/// What the pages and dictionaries of all columns that are read beside each other may hold.
inline constexpr std::size_t kParquetHeldBytesMax = std::size_t{1} << 30U;

enum class ParquetEncoding : std::int64_t {
    Plain = 0,
    PlainDictionary = 2,
    RunLengths = 3,
    BitPacked = 4,
    DeltaBinaryPacked = 5,
    DeltaLengthByteArray = 6,
    DeltaByteArray = 7,
    RunLengthDictionary = 8,
    ByteStreamSplit = 9,
};

enum class ParquetPageKind : std::int64_t { Data = 0, Index = 1, Dictionary = 2, Data2 = 3 };

/// The head of a page, as it stands in the file.
struct ParquetPage {
    ParquetPageKind kind = ParquetPageKind::Data;
    std::uint64_t at = 0;  ///< in the file, where its head begins
    std::int64_t values = -1;
    std::int64_t encoding = -1;
    std::int64_t level_encoding = -1;  ///< of a page of version 1
    std::int64_t bytes = -1;           ///< unpacked
    std::int64_t packed_bytes = -1;
    std::int64_t level_bytes = 0;   ///< of version 2: before the values, never compressed
    std::int64_t repeat_bytes = 0;  ///< of version 2: levels of lists, before the others
    bool packed = true;             ///< version 2 may say that the values are not compressed
    bool has_checksum = false;
    std::int64_t checksum = 0;
};

/// What readers of several columns share: room for packed bytes, and how much all of them hold.
/// Thread    one at a time
class ParquetRoom {
public:
    /// Makes `buffer` as large as `bytes`.
    /// Errors    Oversized: all buffers together would have more than kParquetHeldBytesMax
    [[nodiscard]] Result<void> resize(std::vector<std::uint8_t>& buffer, std::size_t bytes);

    /// Gives a buffer's memory back.
    void release(std::vector<std::uint8_t>& buffer);

    std::vector<std::uint8_t> packed;

private:
    std::size_t held_ = 0;
};

/// Reads the pages of one chunk. Lengths are checked against the chunk, against each other and against
/// the limits before anything is allocated.
/// Thread    one at a time
class ParquetPages {
public:
    /// All must outlive this object.
    ParquetPages(const RandomBytes& bytes, ParquetRoom& room) : bytes_(&bytes), room_(&room) {}

    /// Goes to the first page of a chunk.
    /// Errors    Unsupported (its codec)
    [[nodiscard]] Result<void> begin(const ParquetChunk& chunk);

    /// Reads the next head. Its content may be read next, or is passed over.
    /// Errors    BadFormat (also where the chunk has no page any more), Oversized, those of RandomBytes
    [[nodiscard]] Result<ParquetPage> head();

    /// Reads the content of the last head into `out`, unpacked and verified by its checksum if it has
    /// one.
    /// Errors    BadFormat, Corrupt, Oversized, those of RandomBytes
    [[nodiscard]] Result<void> content(const ParquetPage& page, std::vector<std::uint8_t>& out);

    /// Returns a fault with the file and the place of the page.
    [[nodiscard]] Fault bad(FaultCode code, std::uint64_t at, const std::string& what) const;

private:
    const RandomBytes* bytes_;
    ParquetRoom* room_;
    std::int64_t codec_ = 0;
    std::uint64_t next_ = 0;     ///< where the next page begins
    std::uint64_t content_ = 0;  ///< where the content of the last head begins
    std::uint64_t end_ = 0;      ///< of the chunk
};

}  // namespace starling::data
