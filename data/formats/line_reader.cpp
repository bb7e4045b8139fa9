#include "data/formats/line_reader.hpp"

#include <algorithm>
#include <cstring>

namespace starling::data {

namespace {

constexpr std::size_t kPieceBytesMax = std::size_t{1} << 18U;

}  // namespace

LineReader::LineReader(ByteStream& stream, std::size_t line_bytes_max, std::size_t padding)
    : stream_(&stream),
      line_bytes_max_(line_bytes_max),
      padding_(padding) {}

/// Reads behind what is there at least as much again, so that the search for a long line's end costs
/// no more than twice its length.
Result<void> LineReader::fill() {
    std::copy(
        buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
        buffer_.begin() + static_cast<std::ptrdiff_t>(end_),
        buffer_.begin()
    );
    end_ -= begin_;
    begin_ = 0;
    // Small files are many, so the pieces grow with the file.
    piece_bytes_ = std::min(2 * piece_bytes_, kPieceBytesMax);
    const auto wanted = std::max(piece_bytes_, end_);
    if (buffer_.size() < end_ + wanted + padding_) buffer_.resize(end_ + wanted + padding_);
    auto* room = reinterpret_cast<std::uint8_t*>(buffer_.data()) + end_;
    const auto got = stream_->read({room, wanted});
    if (!got) return got.error();
    at_end_ = *got < wanted;
    end_ += *got;
    return {};
}

Result<bool> LineReader::next(std::string_view& line) {
    while (true) {
        const char* begin = buffer_.data() + begin_;
        const auto left = end_ - begin_;
        const void* found = left == 0 ? nullptr : std::memchr(begin, '\n', left);
        const auto length = found == nullptr
                                ? left
                                : static_cast<std::size_t>(static_cast<const char*>(found) - begin);
        if (found == nullptr && !at_end_ && left <= line_bytes_max_) {
            if (auto filled = fill(); !filled) return filled.error();
            continue;
        }
        if (found == nullptr && left == 0) return false;
        ++number_;
        if (length > line_bytes_max_) {
            return bad(
                FaultCode::Oversized,
                "it has over " + std::to_string(line_bytes_max_) + " bytes; is it a file of lines?"
            );
        }
        line = {begin, length};
        if (line.ends_with('\r')) line.remove_suffix(1);
        begin_ += length + (found == nullptr ? 0 : 1);
        return true;
    }
}

}  // namespace starling::data
