#pragma once

// What a Parquet file says of itself in its footer: its columns, and where the values of each lie.
//
// Source    apache/parquet-format: README.md, parquet.thrift, LogicalTypes.md, Encryption.md

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/formats/random_bytes.hpp"

namespace starling::data {

inline constexpr std::size_t kParquetFooterBytesMax = std::size_t{64} << 20U;
inline constexpr std::size_t kParquetFieldsMax = 65536;
inline constexpr std::size_t kParquetRowGroupsMax = std::size_t{1} << 20U;
inline constexpr std::uint64_t kParquetRowsMax = 0xffffffffU;

enum class ParquetType : std::uint8_t {
    Boolean = 0,
    Int32 = 1,
    Int64 = 2,
    Int96 = 3,
    Float = 4,
    Double = 5,
    ByteArray = 6,
    FixedBytes = 7,
};

/// How the values of a type are meant.
enum class ParquetMeaning : std::uint8_t {
    Plain,     ///< numbers as they are; bytes are text
    Unsigned,  ///< whole numbers without a sign
    Decimal,   ///< whole numbers divided by a power of ten
    Half,      ///< floats of two bytes
};

/// One field of a row.
struct ParquetColumn {
    std::string name;
    std::string why;      ///< why its values are not read; empty: they are
    bool nested = false;  ///< a struct, a list or a map: not read either
    std::string unit;     ///< of what its numbers count, as "days since 1970-01-01"; mostly empty
    ParquetType type = ParquetType::Boolean;
    ParquetMeaning meaning = ParquetMeaning::Plain;
    std::uint32_t width = 0;  ///< bytes of a value of FixedBytes
    std::uint32_t scale = 0;  ///< of Decimal: its power of ten
    bool optional = false;    ///< values may be missing
    std::size_t leaf = 0;     ///< its place among the chunks of a row group

    [[nodiscard]] bool readable() const { return why.empty() && !nested; }

    [[nodiscard]] bool text() const {
        return meaning == ParquetMeaning::Plain &&
               (type == ParquetType::ByteArray || type == ParquetType::FixedBytes);
    }
};

/// Where the values of one column of one row group lie.
struct ParquetChunk {
    std::int64_t codec = 0;  ///< of parquet.thrift's CompressionCodec
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t values = 0;  ///< missing ones included
};

struct ParquetRowGroup {
    std::uint64_t rows = 0;
    std::vector<ParquetChunk> chunks;  ///< of all columns, in their order; empty if not readable
};

/// The footer of one file. It keeps the footer's bytes, and each row group is read anew from them, so
/// its memory is not much more than the footer's size.
/// Thread    any, after open
class ParquetFile {
public:
    /// Reads and checks the footer; `bytes` must outlive this object.
    /// Errors    BadFormat, Truncated, Oversized, Unsupported (encrypted; columns in other files); each
    ///           says at which byte
    [[nodiscard]] static Result<ParquetFile> open(const RandomBytes& bytes);

    [[nodiscard]] const RandomBytes& bytes() const { return *bytes_; }

    [[nodiscard]] const std::vector<ParquetColumn>& columns() const { return columns_; }

    [[nodiscard]] std::uint64_t rows() const { return rows_; }

    [[nodiscard]] std::size_t row_groups() const { return row_groups_.size(); }

    /// Requires  index < row_groups()
    /// Errors    as open, where open has found none
    [[nodiscard]] Result<ParquetRowGroup> row_group(std::size_t index) const;

private:
    explicit ParquetFile(const RandomBytes& bytes) : bytes_(&bytes) {}

    [[nodiscard]] Result<void> read_footer();
    [[nodiscard]] Result<void> read_groups(std::uint64_t rows);
    [[nodiscard]] Fault damaged(std::size_t at, const std::string& what) const;

    const RandomBytes* bytes_;
    std::vector<std::uint8_t> footer_;
    std::uint64_t footer_at_ = 0;
    std::vector<ParquetColumn> columns_;
    std::vector<std::size_t> columns_of_leaves_;  ///< by leaf; kNoColumn where it is not read
    std::vector<std::size_t> row_groups_;         ///< where each begins in the footer
    std::uint64_t rows_ = 0;
};

}  // namespace starling::data
