#pragma once

// The lines of a text, one after the other, in bounded memory.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "data/formats/byte_stream.hpp"

namespace starling::data {

/// Thread    one at a time
class LineReader {
public:
    /// `padding` bytes behind each line can be read; what they are does not matter. The stream must
    /// outlive this object.
    LineReader(ByteStream& stream, std::size_t line_bytes_max, std::size_t padding = 0);

    /// Reads the next line without its end (LF or CR LF). Returns false at the end of the file. The
    /// line is valid until the next call.
    /// Errors    Oversized (with the line's number), those of the stream
    [[nodiscard]] Result<bool> next(std::string_view& line);

    /// Returns the number of the last line, from 1.
    [[nodiscard]] std::uint64_t number() const { return number_; }

    /// Returns a fault that names the source and the last line.
    [[nodiscard]] Fault bad(FaultCode code, const std::string& what) const {
        return stream_->bad(code, "line " + std::to_string(number_) + ": " + what);
    }

private:
    [[nodiscard]] Result<void> fill();

    ByteStream* stream_;
    std::size_t line_bytes_max_;
    std::size_t padding_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;  ///< buffer_[begin_, end_) is read and not used yet
    std::size_t end_ = 0;
    std::size_t piece_bytes_ = std::size_t{1} << 12U;
    bool at_end_ = false;
    std::uint64_t number_ = 0;
};

}  // namespace starling::data
