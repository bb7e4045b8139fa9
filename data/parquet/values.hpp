#pragma once

// The values of one page of a Parquet file, as cells of a table.

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "data/parquet/bits.hpp"
#include "data/parquet/column.hpp"
#include "data/parquet/page.hpp"
#include "data/tables/cell.hpp"

namespace starling::data {

/// Takes bare values of a type from a span (the encoding PLAIN).
/// Thread    one at a time
class PlainValues {
public:
    PlainValues() = default;

    /// Requires  a column that is readable; both outlive this object
    PlainValues(const ParquetColumn& column, ByteView bytes);

    /// Takes the bytes of the next value; of a BOOLEAN one byte, 0 or 1. Returns false at the end.
    [[nodiscard]] bool next(ByteView& out);

    [[nodiscard]] std::size_t place() const { return at_; }

private:
    ByteView bytes_;
    std::size_t at_ = 0;
    std::size_t width_ = 0;  ///< 0: each value has a length before it
    bool bits_ = false;
    std::uint64_t bit_ = 0;
};

/// Returns the bytes of a value of a type; 0 where values have lengths of their own.
[[nodiscard]] std::size_t parquet_width(const ParquetColumn& column);

/// The values that pages name by their numbers.
/// Thread    one at a time
class ParquetDictionary {
public:
    /// Takes so many values from `bytes`. Returns false if they are not there.
    [[nodiscard]] bool fill(const ParquetColumn& column, std::uint64_t count);

    void clear() { count_ = 0; }

    [[nodiscard]] bool at(std::uint32_t index, ByteView& out) const;

    std::vector<std::uint8_t> bytes;

private:
    std::uint64_t count_ = 0;
    std::size_t width_ = 0;
    std::vector<std::uint32_t> places_;  ///< of values with lengths: where each length stands
};

/// Thread    one at a time
class ParquetValues {
public:
    /// `column` and `dictionary` must outlive this object. With `texts_are_numbers` a text is read as a
    /// cell of a CSV file is; else a text is a word, whatever it looks like.
    ParquetValues(
        const ParquetColumn& column, const ParquetDictionary& dictionary, bool texts_are_numbers
    )
        : column_(&column),
          dictionary_(&dictionary),
          texts_are_numbers_(texts_are_numbers) {}

    /// Goes to the values of a page, whose bytes must outlive their reading.
    /// Errors    BadFormat, Unsupported (an encoding that does not fit the type); no file in the message
    [[nodiscard]] Result<void> begin(ParquetEncoding encoding, ByteView bytes);

    /// Reads the next value, whose text is valid until the next call. Returns false where the bytes end
    /// or are damaged.
    [[nodiscard]] bool next(Cell& out);

private:
    [[nodiscard]] Result<void> begin_numbers(ParquetEncoding encoding, ByteView bytes);
    [[nodiscard]] Result<void> begin_texts(ParquetEncoding encoding, ByteView bytes);
    [[nodiscard]] bool next_bytes(ByteView& out);
    [[nodiscard]] bool next_text(ByteView& out);
    [[nodiscard]] bool next_split(ByteView& out);
    [[nodiscard]] bool cell_of(ByteView raw, Cell& out) const;
    [[nodiscard]] Cell number_of(std::int64_t value) const;

    const ParquetColumn* column_;
    const ParquetDictionary* dictionary_;
    bool texts_are_numbers_;
    ParquetEncoding encoding_ = ParquetEncoding::Plain;
    PlainValues plain_;
    RunLengths runs_;
    DeltaNumbers numbers_;  ///< values, or the lengths of texts
    DeltaNumbers shared_;   ///< how many bytes each text has in common with the one before
    ByteView texts_;
    std::size_t text_at_ = 0;
    ByteView split_;
    std::size_t split_at_ = 0;
    std::string last_;  ///< the value that is pieced together
};

}  // namespace starling::data
