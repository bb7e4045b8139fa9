#include "data/parquet/page.hpp"

#include <algorithm>
#include <zlib.h>

#include "data/parquet/thrift.hpp"
#include "data/parquet/unpack.hpp"

namespace starling::data {

namespace {

constexpr std::size_t kFirstHeadBytes = 256;

bool read_data_head(ThriftReader& reader, const ThriftField& field, ParquetPage& page) {
    return reader.fields(field, [&](const ThriftField& part) {
        switch (part.id) {
            case 1:
                return reader.integer(part, page.values);
            case 2:
                return reader.integer(part, page.encoding);
            case 3:
                return reader.integer(part, page.level_encoding);
            default:
                return false;
        }
    });
}

bool read_dictionary_head(ThriftReader& reader, const ThriftField& field, ParquetPage& page) {
    return reader.fields(field, [&](const ThriftField& part) {
        if (part.id == 1) return reader.integer(part, page.values);
        if (part.id == 2) return reader.integer(part, page.encoding);
        return false;
    });
}

bool read_data2_head(ThriftReader& reader, const ThriftField& field, ParquetPage& page) {
    return reader.fields(field, [&](const ThriftField& part) {
        switch (part.id) {
            case 1:
                return reader.integer(part, page.values);
            case 4:
                return reader.integer(part, page.encoding);
            case 5:
                return reader.integer(part, page.level_bytes);
            case 6:
                return reader.integer(part, page.repeat_bytes);
            case 7:
                return reader.flag(part, page.packed);
            default:
                return false;
        }
    });
}

ParquetPage read_head(ThriftReader& reader) {
    ParquetPage page;
    std::int64_t kind = -1;
    reader.fields([&](const ThriftField& field) {
        switch (field.id) {
            case 1:
                return reader.integer(field, kind);
            case 2:
                return reader.integer(field, page.bytes);
            case 3:
                return reader.integer(field, page.packed_bytes);
            case 4:
                page.has_checksum = true;
                return reader.integer(field, page.checksum);
            case 5:
                return read_data_head(reader, field, page);
            case 7:
                return read_dictionary_head(reader, field, page);
            case 8:
                return read_data2_head(reader, field, page);
            default:
                return false;
        }
    });
    page.kind = static_cast<ParquetPageKind>(kind);
    if (kind < 0) reader.spoil();
    return page;
}

}  // namespace

Result<void> ParquetRoom::resize(std::vector<std::uint8_t>& buffer, std::size_t bytes) {
    if (bytes > buffer.capacity()) {
        const auto others = held_ - buffer.capacity();
        if (bytes > kParquetHeldBytesMax - others) {
            return fail(
                FaultCode::Oversized, "the pages of all columns together have more than 1 GiB"
            );
        }
        // Without this the vector might take twice as much, and would copy what it held.
        release(buffer);
        buffer.reserve(bytes);
        held_ += buffer.capacity();
    }
    buffer.resize(bytes);
    return {};
}

void ParquetRoom::release(std::vector<std::uint8_t>& buffer) {
    held_ -= buffer.capacity();
    std::vector<std::uint8_t>().swap(buffer);
}

Fault ParquetPages::bad(FaultCode code, std::uint64_t at, const std::string& what) const {
    return bytes_->bad(code, "byte " + std::to_string(at) + ": " + what);
}

Result<void> ParquetPages::begin(const ParquetChunk& chunk) {
    codec_ = chunk.codec;
    next_ = chunk.begin;
    end_ = chunk.end;
    if (auto known = check_parquet_codec(codec_); !known) {
        return bad(known.error().code, chunk.begin, known.error().message);
    }
    return {};
}

Result<ParquetPage> ParquetPages::head() {
    if (next_ >= end_) {
        return bad(FaultCode::BadFormat, end_, "the column ends before its last row");
    }
    const auto left = end_ - next_;
    ParquetPage page;
    std::size_t head_bytes = 0;
    // A head has no length of its own. Mostly it is short, but it may hold the page's extreme values.
    for (auto window = kFirstHeadBytes;; window *= 16) {
        const auto size = static_cast<std::size_t>(
            std::min<std::uint64_t>(left, std::min(window, kParquetPageHeadBytesMax))
        );
        room_->packed.resize(std::max(room_->packed.size(), size));
        const auto room = std::span(room_->packed).first(size);
        if (auto read = bytes_->read_at(next_, room); !read) return read.error();
        ThriftReader reader(std::as_bytes(room));
        page = read_head(reader);
        head_bytes = reader.place();
        if (reader.ok()) break;
        const bool more = reader.short_of_bytes() && size < left && size < kParquetPageHeadBytesMax;
        if (!more) {
            return bad(
                FaultCode::BadFormat, next_ + reader.place(), "the head of a page is damaged"
            );
        }
    }
    page.at = next_;
    content_ = next_ + head_bytes;
    if (page.packed_bytes < 0 || page.bytes < 0 || page.values < 0) {
        // Only pages of kinds that are passed over may say no number of values.
        const bool passed = page.packed_bytes >= 0 && page.kind == ParquetPageKind::Index;
        if (!passed) return bad(FaultCode::BadFormat, next_, "the head of a page is damaged");
    }
    if (static_cast<std::uint64_t>(page.packed_bytes) > end_ - content_) {
        return bad(FaultCode::BadFormat, next_, "a page is said to exceed its column");
    }
    next_ = content_ + static_cast<std::uint64_t>(page.packed_bytes);
    return page;
}

Result<void> ParquetPages::content(const ParquetPage& page, std::vector<std::uint8_t>& out) {
    const auto limit = static_cast<std::int64_t>(kParquetPageBytesMax);
    if (page.bytes > limit || page.packed_bytes > limit) {
        return bad(
            FaultCode::Oversized,
            page.at,
            "a page of " + std::to_string(std::max(page.bytes, page.packed_bytes) >> 20U) +
                " MiB, and 64 are allowed; write smaller pages or row groups"
        );
    }
    if (page.level_bytes < 0 || page.repeat_bytes < 0 || page.level_bytes > limit ||
        page.repeat_bytes > limit) {
        return bad(FaultCode::BadFormat, page.at, "the head of a page is damaged");
    }
    const auto levels = static_cast<std::size_t>(page.level_bytes + page.repeat_bytes);
    const auto bytes = static_cast<std::size_t>(page.bytes);
    const auto packed_bytes = static_cast<std::size_t>(page.packed_bytes);
    if (levels > bytes || levels > packed_bytes) {
        return bad(FaultCode::BadFormat, page.at, "the head of a page is damaged");
    }
    room_->packed.resize(std::max(room_->packed.size(), packed_bytes));
    const auto packed = std::span(room_->packed).first(packed_bytes);
    if (auto read = bytes_->read_at(content_, packed); !read) return read.error();
    if (page.has_checksum) {
        const auto sum =
            crc32(crc32(0, nullptr, 0), packed.data(), static_cast<uInt>(packed_bytes));
        if (static_cast<std::uint32_t>(sum) != static_cast<std::uint32_t>(page.checksum)) {
            return bad(
                FaultCode::Corrupt, page.at, "a page does not match its checksum; fetch it again"
            );
        }
    }
    if (auto made = room_->resize(out, bytes); !made) {
        return bad(made.error().code, page.at, made.error().message);
    }
    std::copy_n(packed.begin(), levels, out.begin());
    const auto unpacked = unpack_parquet(
        page.packed ? codec_ : 0, packed.subspan(levels), std::span(out).subspan(levels)
    );
    if (!unpacked) return bad(unpacked.error().code, page.at, unpacked.error().message);
    return {};
}

}  // namespace starling::data
