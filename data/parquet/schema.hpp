#pragma once

// The columns of a Parquet file, out of the tree that its footer has.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/parquet/column.hpp"
#include "data/parquet/thrift.hpp"

namespace starling::data {

inline constexpr std::size_t kParquetFieldsMax = 65536;

/// One node of the tree, as it stands in the footer. The nodes come depth first.
struct ParquetNode {
    std::string_view name;
    std::int64_t type = -1;  ///< of a leaf
    std::int64_t width = 0;
    std::int64_t repetition = 0;
    std::int64_t children = -1;   ///< of a group
    std::int64_t converted = -1;  ///< the older way to say what values mean
    std::int64_t logical = -1;    ///< the newer way; the field of its union
    std::int64_t scale = 0;
    std::int64_t time_unit = 0;  ///< 1 milliseconds, 2 microseconds, 3 nanoseconds
    bool is_signed = true;
};

/// Reads one node; a wrong one spoils the reader.
[[nodiscard]] ParquetNode read_parquet_node(ThriftReader& reader);

struct ParquetColumns {
    std::vector<ParquetColumn> columns;
    std::size_t leaves = 0;  ///< of the whole tree: so many chunks has each row group
};

/// Makes columns of the root's children.
/// Errors    BadFormat, Oversized; the messages name no file
[[nodiscard]] Result<ParquetColumns> parquet_columns(const std::vector<ParquetNode>& nodes);

}  // namespace starling::data
