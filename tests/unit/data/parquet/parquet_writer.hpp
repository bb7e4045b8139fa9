#pragma once

// A small writer of Parquet files for tests. It shares no code with the reader: it was written from the
// format's own pages (parquet.thrift, Encodings.md, Compression.md), so that both would have to be wrong
// in the same way.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace starling::data::testing {

/// One column. Numbers are those of parquet.thrift.
struct ParquetPlan {
    std::string name;
    int type = 1;
    int encoding = 0;  ///< 8 writes a dictionary
    /// Each value's own bytes, as PLAIN has them, without a length; a BOOLEAN is one byte. None: missing.
    std::vector<std::optional<std::string>> values;
    int width = 0;  ///< of FIXED_LEN_BYTE_ARRAY
    int converted = -1;
    int scale = 0;
    int logical = -1;   ///< the field of LogicalType's union
    int time_unit = 0;  ///< of logical 8: 1 ms, 2 us, 3 ns
    bool required = false;
    /// Pages from this row of a row group on are PLAIN, as writers do when a dictionary grows too large.
    std::size_t plain_from = std::numeric_limits<std::size_t>::max();
};

struct ParquetFilePlan {
    std::vector<ParquetPlan> columns;
    int codec = 0;
    int page_version = 1;
    std::size_t rows_in_page = 7;
    std::size_t rows_in_group = 40;
    bool checksums = true;
    bool with_list = false;  ///< a first column that is a list of numbers
};

/// Returns the file. All columns have equally many values.
std::string write_parquet(const ParquetFilePlan& plan);

/// Returns the bytes of a number as PLAIN has them.
template <class T>
std::string plain_bytes(T value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

}  // namespace starling::data::testing
