#include "data/parquet/column_reader.hpp"

#include "base/check.hpp"
#include "base/printable.hpp"

namespace starling::data {

ParquetColumnReader::ParquetColumnReader(
    const ParquetFile& file, std::size_t column, ParquetRoom& room, bool texts_are_numbers
)
    : column_(&file.columns()[column]),
      room_(&room),
      pages_(file.bytes(), room),
      values_(*column_, dictionary_, texts_are_numbers) {
    STARLING_CHECK(column_->readable());
}

ParquetColumnReader::~ParquetColumnReader() {
    room_->release(content_);
    room_->release(dictionary_.bytes);
}

Fault ParquetColumnReader::bad(FaultCode code, const std::string& what) const {
    return pages_.bad(code, page_at_, "column '" + printable(column_->name) + "': " + what);
}

Result<void> ParquetColumnReader::begin(const ParquetChunk& chunk) {
    has_dictionary_ = false;
    dictionary_.clear();
    left_in_page_ = 0;
    left_in_chunk_ = chunk.values;
    page_at_ = chunk.begin;
    return pages_.begin(chunk);
}

Result<void> ParquetColumnReader::next(Cell& out) {
    while (left_in_page_ == 0) {
        STARLING_CHECK(left_in_chunk_ > 0);
        if (auto read = next_page(); !read) return read.error();
    }
    --left_in_page_;
    if (column_->optional) {
        std::uint32_t level = 0;
        if (!levels_.next(level)) return bad(FaultCode::BadFormat, "a page without all its levels");
        if (level == 0) {
            out = {};
            return {};
        }
    }
    if (values_.next(out)) return {};
    return bad(FaultCode::BadFormat, "a value is not there, or is damaged");
}

Result<void> ParquetColumnReader::next_page() {
    const auto page = pages_.head();
    if (!page) return page.error();
    page_at_ = page->at;
    switch (page->kind) {
        case ParquetPageKind::Data:
        case ParquetPageKind::Data2:
            return read_data(*page);
        case ParquetPageKind::Dictionary:
            return read_dictionary(*page);
        case ParquetPageKind::Index:
            return {};
    }
    return {};  // kinds of later versions of the format are passed over, as it says
}

Result<void> ParquetColumnReader::read_dictionary(const ParquetPage& page) {
    const bool plain = page.encoding == static_cast<std::int64_t>(ParquetEncoding::Plain) ||
                       page.encoding == static_cast<std::int64_t>(ParquetEncoding::PlainDictionary);
    if (has_dictionary_ || !plain) return bad(FaultCode::BadFormat, "its dictionary is odd");
    if (auto read = pages_.content(page, dictionary_.bytes); !read) return read.error();
    if (!dictionary_.fill(*column_, static_cast<std::uint64_t>(page.values))) {
        return bad(FaultCode::BadFormat, "its dictionary has fewer values than it says");
    }
    has_dictionary_ = true;
    return {};
}

Result<void> ParquetColumnReader::read_data(const ParquetPage& page) {
    const auto values = static_cast<std::uint64_t>(page.values);
    if (values > left_in_chunk_) {
        return bad(FaultCode::BadFormat, "its pages have more values than rows");
    }
    left_in_chunk_ -= values;
    left_in_page_ = values;
    if (values == 0) return {};
    const auto encoding = static_cast<ParquetEncoding>(page.encoding);
    const bool by_dictionary = encoding == ParquetEncoding::PlainDictionary ||
                               encoding == ParquetEncoding::RunLengthDictionary;
    if (by_dictionary && !has_dictionary_) {
        return bad(FaultCode::BadFormat, "a page wants a dictionary, and there is none");
    }
    if (auto read = pages_.content(page, content_); !read) return read.error();
    const auto bytes = take_levels(page);
    if (!bytes) return bytes.error();
    const auto begun = values_.begin(encoding, *bytes);
    if (!begun) return bad(begun.error().code, begun.error().message);
    return {};
}

/// Takes the levels of the page, which say where values are missing, and returns what follows them.
Result<ByteView> ParquetColumnReader::take_levels(const ParquetPage& page) {
    const auto all = std::as_bytes(std::span(content_));
    if (page.kind == ParquetPageKind::Data2) {
        // The column is no list, so the levels of lists say nothing.
        const auto before = static_cast<std::size_t>(page.repeat_bytes);
        const auto bytes = static_cast<std::size_t>(page.level_bytes);
        levels_ = RunLengths(all.subspan(before, bytes), 1);
        return all.subspan(before + bytes);
    }
    if (!column_->optional) return all;
    if (page.level_encoding != static_cast<std::int64_t>(ParquetEncoding::RunLengths)) {
        return bad(FaultCode::Unsupported, "levels in the old form BIT_PACKED; write it anew");
    }
    ByteReader in(all);
    const auto bytes = in.take<std::uint32_t>();
    levels_ = RunLengths(in.take_bytes(bytes), 1);
    if (!in.ok()) return bad(FaultCode::BadFormat, "levels that exceed their page");
    return in.take_bytes(in.remaining());
}

}  // namespace starling::data
