#pragma once

// What one column of a Parquet file is.
//
// Source    apache/parquet-format: parquet.thrift, LogicalTypes.md

#include <cstddef>
#include <cstdint>
#include <string>

namespace starling::data {

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

}  // namespace starling::data
