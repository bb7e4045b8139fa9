#pragma once

// The values of one column of a Parquet file, cell by cell, through its pages.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "data/parquet/bits.hpp"
#include "data/parquet/metadata.hpp"
#include "data/parquet/page.hpp"
#include "data/parquet/values.hpp"
#include "data/tables/cell.hpp"

namespace starling::data {

/// Holds one page and one dictionary.
/// Thread    one at a time
class ParquetColumnReader {
public:
    /// Requires  a column that is readable. `file` and `room` must outlive this object.
    ParquetColumnReader(
        const ParquetFile& file, std::size_t column, ParquetRoom& room, bool texts_are_numbers
    );

    ~ParquetColumnReader();
    ParquetColumnReader(const ParquetColumnReader&) = delete;
    ParquetColumnReader& operator=(const ParquetColumnReader&) = delete;

    /// Goes to the first row of a row group.
    /// Errors    Unsupported
    [[nodiscard]] Result<void> begin(const ParquetChunk& chunk);

    /// Reads the next value. Its text is valid until the next call.
    /// Requires  at most as many calls as the chunk has values
    /// Errors    BadFormat, Corrupt, Oversized, Unsupported; those of RandomBytes. Each says file, column
    ///           and byte
    [[nodiscard]] Result<void> next(Cell& out);

private:
    [[nodiscard]] Result<void> next_page();
    [[nodiscard]] Result<void> read_dictionary(const ParquetPage& page);
    [[nodiscard]] Result<void> read_data(const ParquetPage& page);
    [[nodiscard]] Result<ByteView> take_levels(const ParquetPage& page);
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const;

    const ParquetColumn* column_;
    ParquetRoom* room_;
    ParquetPages pages_;
    ParquetDictionary dictionary_;
    bool has_dictionary_ = false;
    ParquetValues values_;
    std::vector<std::uint8_t> content_;  ///< of the page
    RunLengths levels_;                  ///< of an optional column: 1 where there is a value
    std::uint64_t left_in_page_ = 0;
    std::uint64_t left_in_chunk_ = 0;  ///< behind this page
    std::uint64_t page_at_ = 0;
};

}  // namespace starling::data
