#pragma once

// The records of a file of separated values, one after the other, in bounded memory.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/formats/byte_stream.hpp"

namespace starling::data {

inline constexpr std::size_t kFieldBytesMax = std::size_t{1} << 20U;
inline constexpr std::size_t kRecordBytesMax = std::size_t{16} << 20U;
inline constexpr std::size_t kColumnsMax = 4096;

/// One record. Its texts are valid until the next one is read.
struct CsvRecord {
    std::uint64_t line = 0;  ///< where it begins, from 1
    std::vector<std::string_view> fields;
};

/// Reads RFC 4180: quoted fields may contain separators, line ends and doubled quotes. Lines end with
/// LF, CR LF or CR. A byte order mark is dropped and empty lines are skipped. A quote inside a field
/// that does not begin with one is a character like others.
///
/// Memory is the longest record's, at most twice kRecordBytesMax.
/// Thread    one at a time
class CsvRecords {
public:
    /// The stream must outlive this object.
    CsvRecords(ByteStream& stream, char separator);

    /// Reads the next record. Returns false at the end of the file.
    /// Errors    BadFormat (text behind a closing quote), Truncated (a quote is not closed), Oversized,
    ///           those of the stream; all but the last name the line
    [[nodiscard]] Result<bool> next(CsvRecord& record);

    /// Returns the beginning of the file, without changing what next() gives: all bytes if there are
    /// fewer. Requires that next() was not called yet.
    [[nodiscard]] Result<std::string_view> peek(std::size_t bytes);

    void set_separator(char separator);

    /// Returns a fault that names the source.
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const {
        return stream_->bad(code, what);
    }

    [[nodiscard]] Fault bad_line(FaultCode code, std::uint64_t line, const std::string& what)
        const {
        return bad(code, "line " + std::to_string(line) + ": " + what);
    }

private:
    enum class Step { Field, Record, NeedsMore };

    /// A field as offsets in the buffer. Quotes are made single when the record is complete: a record
    /// that needs more bytes is read again from its beginning.
    struct Extent {
        std::size_t begin = 0;
        std::size_t end = 0;
        bool quoted = false;
        bool doubled_quotes = false;
    };

    [[nodiscard]] Result<void> fill(std::size_t bytes);
    [[nodiscard]] Result<bool> skip_to_record();
    [[nodiscard]] Result<Step> read_fields(std::size_t& at);
    [[nodiscard]] Result<Step> read_plain(std::size_t& at);
    [[nodiscard]] Result<Step> read_quoted(std::size_t& at);
    [[nodiscard]] Result<Step> finish_field(std::size_t& at, const Extent& field);
    [[nodiscard]] Result<Step> needs_more(std::size_t at, std::size_t field) const;
    [[nodiscard]] Fault bad_at(FaultCode code, std::size_t at, const std::string& what) const;
    void emit(CsvRecord& record, std::size_t end);

    ByteStream* stream_;
    char separator_ = ',';
    std::vector<char> buffer_;
    std::array<bool, 256> ends_field_{};
    std::size_t begin_ =
        0;  ///< buffer_[begin_, end_) is read and not used yet; some bytes behind are ours
    std::size_t end_ = 0;
    std::size_t piece_bytes_ = std::size_t{1} << 12U;
    bool at_end_ = false;
    bool started_ = false;
    std::uint64_t line_ = 1;
    std::vector<Extent> extents_;
};

}  // namespace starling::data
