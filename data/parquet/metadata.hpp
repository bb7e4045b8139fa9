#pragma once

// What a Parquet file says of itself in its footer: its columns, and where the values of each lie.
//
// Source    apache/parquet-format: README.md, parquet.thrift, LogicalTypes.md, Encryption.md

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/formats/random_bytes.hpp"
#include "data/parquet/column.hpp"

namespace starling::data {

inline constexpr std::size_t kParquetFooterBytesMax = std::size_t{64} << 20U;
inline constexpr std::size_t kParquetRowGroupsMax = std::size_t{1} << 20U;
inline constexpr std::uint64_t kParquetRowsMax = 0xffffffffU;

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
