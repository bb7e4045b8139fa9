#include "data/tables/csv_records.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "data/tables/byte_word.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kPieceBytesMax = std::size_t{1} << 18U;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

/// Behind what is read stand a line end that is not the file's, so that a search for the end of a field needs no other
/// bound, and bytes that such a search may load.
constexpr std::size_t kPadding = sizeof(std::uint64_t);

}  // namespace

CsvRecords::CsvRecords(ByteStream& stream, char separator) : stream_(&stream) {
    set_separator(separator);
}

void CsvRecords::set_separator(char separator) {
    separator_ = separator;
    ends_field_ = {};
    for (const char c : {separator, '\n', '\r'}) ends_field_[static_cast<unsigned char>(c)] = true;
}

/// Reads until that many bytes are there or the file ends.
Result<void> CsvRecords::fill(std::size_t bytes) {
    std::copy(
        buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
        buffer_.begin() + static_cast<std::ptrdiff_t>(end_),
        buffer_.begin()
    );
    end_ -= begin_;
    begin_ = 0;
    // Small files are many, so the pieces grow with the file.
    piece_bytes_ = std::min(2 * piece_bytes_, kPieceBytesMax);
    if (buffer_.size() < bytes + kPadding) buffer_.resize(bytes + kPadding);
    if (!at_end_ && end_ < bytes) {
        const auto wanted = bytes - end_;
        auto* room = reinterpret_cast<std::uint8_t*>(buffer_.data()) + end_;
        const auto got = stream_->read({room, wanted});
        if (!got) return got.error();
        at_end_ = *got < wanted;
        end_ += *got;
    }
    buffer_[end_] = '\n';
    if (started_) return {};
    started_ = true;
    const std::string_view content(buffer_.data(), end_);
    if (content.starts_with("\xff\xfe") || content.starts_with("\xfe\xff")) {
        return bad(FaultCode::BadFormat, "it is UTF-16; convert it, as with iconv -t UTF-8");
    }
    if (content.starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
    return {};
}

Result<std::string_view> CsvRecords::peek(std::size_t bytes) {
    if (auto filled = fill(bytes); !filled) return filled.error();
    return std::string_view(buffer_.data() + begin_, std::min(bytes, end_ - begin_));
}

/// Goes to the first byte that is not an empty line. Returns whether there is one.
Result<bool> CsvRecords::skip_to_record() {
    while (true) {
        if (end_ - begin_ < 2 && !at_end_) {
            if (auto filled = fill(piece_bytes_); !filled) return filled.error();
        }
        if (begin_ == end_) return false;
        const char c = buffer_[begin_];
        if (c != '\n' && c != '\r') return true;
        const bool pair = c == '\r' && begin_ + 1 < end_ && buffer_[begin_ + 1] == '\n';
        begin_ += pair ? 2 : 1;
        ++line_;
    }
}

Result<bool> CsvRecords::next(CsvRecord& record) {
    const auto more = skip_to_record();
    if (!more) return more.error();
    if (!*more) return false;
    while (true) {
        auto at = begin_;
        const auto step = read_fields(at);
        if (!step) return step.error();
        if (*step == Step::Record) {
            emit(record, at);
            return true;
        }
        // Twice as much each time: what is read again is no more than what was read.
        const auto bytes = end_ - begin_;
        if (bytes >= kRecordBytesMax) {
            return bad_line(FaultCode::Oversized, line_, "the record has over 16 MiB");
        }
        if (auto filled = fill(std::max(2 * bytes, piece_bytes_)); !filled) return filled.error();
    }
}

/// Reads the fields of one record. Returns Record or NeedsMore.
Result<CsvRecords::Step> CsvRecords::read_fields(std::size_t& at) {
    extents_.clear();
    while (true) {
        const auto step = buffer_[at] == '"' && at < end_ ? read_quoted(at) : read_plain(at);
        if (!step || *step != Step::Field) return step;
        if (extents_.size() == kColumnsMax) {
            return bad_line(
                FaultCode::Oversized, line_, "more than 4096 fields; is it the right separator?"
            );
        }
    }
}

Result<CsvRecords::Step> CsvRecords::read_plain(std::size_t& at) {
    const auto begin = at;
    while (true) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, buffer_.data() + at, sizeof(bytes));
        const auto ends = marks(bytes, separator_) | marks(bytes, '\n') | marks(bytes, '\r');
        if (ends != 0) {
            at += first_marked(ends);
            break;
        }
        at += sizeof(bytes);
    }
    return finish_field(at, {begin, at, false, false});
}

Result<CsvRecords::Step> CsvRecords::read_quoted(std::size_t& at) {
    const auto quote = at;
    Extent field{at + 1, 0, true, false};
    ++at;
    while (true) {
        const void* found = std::memchr(buffer_.data() + at, '"', end_ - at);
        if (found == nullptr) {
            if (!at_end_) return needs_more(end_, quote);
            return bad_at(FaultCode::Truncated, quote, "the quote that begins here is not closed");
        }
        at = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
        if (at + 1 == end_ && !at_end_) return needs_more(end_, quote);
        if (at + 1 == end_ || buffer_[at + 1] != '"') break;
        field.doubled_quotes = true;
        at += 2;
    }
    field.end = at++;
    if (!ends_field_[static_cast<unsigned char>(buffer_[at])]) {
        return bad_at(
            FaultCode::BadFormat,
            at,
            "text behind a closing quote; a quote inside a field is written twice"
        );
    }
    return finish_field(at, field);
}

/// Takes the field that ends at `at`, and goes behind what ends it.
Result<CsvRecords::Step> CsvRecords::finish_field(std::size_t& at, const Extent& field) {
    if (at == end_ && !at_end_) return needs_more(at, field.begin);
    if (field.end - field.begin > kFieldBytesMax) return needs_more(field.end, field.begin);
    const char c = buffer_[at];
    if (at < end_ && c == '\r' && at + 1 == end_ && !at_end_) return Step::NeedsMore;
    extents_.push_back(field);
    if (at == end_) return Step::Record;
    const bool pair = c == '\r' && at + 1 < end_ && buffer_[at + 1] == '\n';
    at += pair ? 2 : 1;
    return c == separator_ ? Step::Field : Step::Record;
}

/// Returns NeedsMore, unless the field from `field` to `at` is too long already.
Result<CsvRecords::Step> CsvRecords::needs_more(std::size_t at, std::size_t field) const {
    if (at - field <= kFieldBytesMax) return Step::NeedsMore;
    return bad_at(FaultCode::Oversized, field, "a field has over 1 MiB; is a quote missing?");
}

Fault CsvRecords::bad_at(FaultCode code, std::size_t at, const std::string& what) const {
    const auto* bytes = buffer_.data();
    const auto lines = std::count(bytes + begin_, bytes + at, '\n');
    return bad_line(code, line_ + static_cast<std::uint64_t>(lines), what);
}

void CsvRecords::emit(CsvRecord& record, std::size_t end) {
    record.line = line_;
    record.fields.clear();
    for (const auto& field : extents_) {
        char* begin = buffer_.data() + field.begin;
        char* stop = buffer_.data() + field.end;
        if (field.quoted) {
            line_ += static_cast<std::uint64_t>(std::count(begin, stop, '\n'));
        }
        if (field.doubled_quotes) {
            char* kept = begin;
            for (const char* from = begin; from != stop; ++from) {
                *kept++ = *from;
                if (*from == '"') ++from;
            }
            stop = kept;
        }
        record.fields.emplace_back(begin, static_cast<std::size_t>(stop - begin));
    }
    ++line_;
    begin_ = end;
}

}  // namespace starling::data
