#include "data/parquet/metadata.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.hpp"
#include "base/printable.hpp"
#include "data/parquet/schema.hpp"
#include "data/parquet/thrift.hpp"

namespace starling::data {

namespace {

constexpr std::string_view kMagic = "PAR1";
constexpr std::string_view kEncryptedMagic = "PARE";
constexpr std::size_t kNoColumn = std::numeric_limits<std::size_t>::max();

/// One column of one row group, as it stands in the footer.
struct RawChunk {
    std::string_view path;
    bool described = false;
    bool encrypted = false;
    std::int64_t type = -1;
    std::int64_t codec = -1;
    std::int64_t values = -1;
    std::int64_t bytes = -1;
    std::int64_t data_at = -1;
    std::int64_t dictionary_at = 0;  ///< some writers say 0 where there is none
};

void read_description(ThriftReader& reader, const ThriftField& field, RawChunk& chunk) {
    chunk.described = true;
    reader.fields(field, [&](const ThriftField& part) {
        switch (part.id) {
            case 1:
                return reader.integer(part, chunk.type);
            case 4:
                return reader.integer(part, chunk.codec);
            case 5:
                return reader.integer(part, chunk.values);
            case 7:
                return reader.integer(part, chunk.bytes);
            case 9:
                return reader.integer(part, chunk.data_at);
            case 11:
                return reader.integer(part, chunk.dictionary_at);
            default:
                return false;
        }
    });
}

RawChunk read_chunk(ThriftReader& reader) {
    RawChunk chunk;
    reader.fields([&](const ThriftField& field) {
        switch (field.id) {
            case 1:
                return reader.text(field, chunk.path);
            case 3:
                read_description(reader, field, chunk);
                return true;
            case 8:
            case 9:
                chunk.encrypted = true;
                return false;
            default:
                return false;
        }
    });
    return chunk;
}

/// Returns what is wrong with a chunk of a column that is read, or nothing.
std::string_view check_chunk(
    const RawChunk& raw, const ParquetColumn& column, std::uint64_t rows, std::uint64_t footer_at
) {
    if (!raw.described || raw.type != static_cast<std::int64_t>(column.type)) {
        return "its type is not that of the column";
    }
    if (raw.values < 0 || static_cast<std::uint64_t>(raw.values) != rows) {
        return "it has more or fewer values than rows";
    }
    if (rows == 0) return {};  // some writers leave places out, or take those of nothing
    if (raw.bytes < 0 || raw.data_at < 0) return "it lies nowhere";
    const auto begin =
        raw.dictionary_at > 0 && raw.dictionary_at < raw.data_at ? raw.dictionary_at : raw.data_at;
    const auto at = static_cast<std::uint64_t>(begin);
    if (at < kMagic.size() || at > footer_at ||
        static_cast<std::uint64_t>(raw.bytes) > footer_at - at) {
        return "it lies outside of the file";
    }
    return {};
}

ParquetChunk placed(const RawChunk& raw, std::uint64_t footer_at) {
    // Writers of 2016 and before left the head of the dictionary out of the length (PARQUET-816). What
    // else lies there is never read: the values end before it.
    constexpr std::uint64_t kForgotten = 100;
    if (raw.values == 0) return {};
    const auto begin =
        raw.dictionary_at > 0 && raw.dictionary_at < raw.data_at ? raw.dictionary_at : raw.data_at;
    ParquetChunk chunk;
    chunk.codec = raw.codec;
    chunk.begin = static_cast<std::uint64_t>(begin);
    chunk.end =
        std::min(footer_at, chunk.begin + static_cast<std::uint64_t>(raw.bytes) + kForgotten);
    chunk.values = static_cast<std::uint64_t>(raw.values);
    return chunk;
}

std::string magic_at(const RandomBytes& bytes, std::uint64_t at) {
    std::array<std::uint8_t, 4> magic{};
    if (auto read = bytes.read_at(at, magic); !read) return {};
    return {magic.begin(), magic.end()};
}

}  // namespace

Fault ParquetFile::damaged(std::size_t at, const std::string& what) const {
    return bytes_->bad(
        FaultCode::BadFormat, "byte " + std::to_string(footer_at_ + at) + ": " + what
    );
}

Result<ParquetFile> ParquetFile::open(const RandomBytes& bytes) {
    constexpr std::size_t kLeast = 12;  // two magics and a length
    const auto begin = magic_at(bytes, 0);
    if (begin == kEncryptedMagic) {
        return bytes.bad(FaultCode::Unsupported, "byte 0: it is encrypted; decrypt it first");
    }
    if (begin != kMagic) {
        return bytes.bad(
            FaultCode::BadFormat, "byte 0: it is no Parquet file, for it does not begin with PAR1"
        );
    }
    const auto size = bytes.size();
    const auto end = size < kLeast ? std::string() : magic_at(bytes, size - 4);
    if (end == kEncryptedMagic) {
        return bytes.bad(FaultCode::Unsupported, "it is encrypted; decrypt it first");
    }
    if (end != kMagic) {
        return bytes.bad(
            FaultCode::Truncated,
            "byte " + std::to_string(size) +
                ": it ends without PAR1, so a part of it is missing; fetch it again"
        );
    }
    std::array<std::uint8_t, 4> raw{};
    if (auto read = bytes.read_at(size - 8, raw); !read) return read.error();
    const auto length = ByteReader(std::as_bytes(std::span(raw))).take<std::uint32_t>();
    const auto where = "byte " + std::to_string(size - 8) + ": ";
    if (length > size - kLeast) {
        return bytes.bad(FaultCode::BadFormat, where + "the footer is said to exceed the file");
    }
    if (length > kParquetFooterBytesMax) {
        return bytes.bad(FaultCode::Oversized, where + "a footer of over 64 MiB");
    }
    ParquetFile file(bytes);
    file.footer_at_ = size - 8 - length;
    file.footer_.resize(length);
    if (auto read = bytes.read_at(file.footer_at_, file.footer_); !read) return read.error();
    if (auto read = file.read_footer(); !read) return read.error();
    return file;
}

Result<void> ParquetFile::read_footer() {
    ThriftReader reader(std::as_bytes(std::span(footer_)));
    std::vector<ParquetNode> nodes;
    std::int64_t rows = -1;
    bool encrypted = false;
    reader.fields([&](const ThriftField& field) {
        switch (field.id) {
            case 2:
                return reader.list(field, [&] {
                    nodes.push_back(read_parquet_node(reader));
                    if (nodes.size() > kParquetFieldsMax) reader.spoil();
                });
            case 3:
                return reader.integer(field, rows);
            case 4:
                return reader.list(field, [&] {
                    row_groups_.push_back(reader.place());
                    reader.skip(ThriftType::Struct);
                    if (row_groups_.size() > kParquetRowGroupsMax) reader.spoil();
                });
            case 8:
                encrypted = true;
                return false;
            default:
                return false;
        }
    });
    if (nodes.size() > kParquetFieldsMax) {
        return bytes_->bad(FaultCode::Oversized, "more than 65536 fields of columns");
    }
    if (row_groups_.size() > kParquetRowGroupsMax) {
        return bytes_->bad(FaultCode::Oversized, "more than 1048576 row groups");
    }
    if (!reader.ok()) return damaged(reader.place(), "the footer is damaged");
    if (encrypted) {
        return bytes_->bad(FaultCode::Unsupported, "some columns are encrypted; decrypt it first");
    }
    auto found = parquet_columns(nodes);
    if (!found) return bytes_->bad(found.error().code, found.error().message);
    columns_ = std::move(found->columns);
    columns_of_leaves_.assign(found->leaves, kNoColumn);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i].readable()) columns_of_leaves_[columns_[i].leaf] = i;
    }
    if (rows < 0) return damaged(0, "the footer does not say how many rows there are");
    return read_groups(static_cast<std::uint64_t>(rows));
}

/// Reads each row group once, so that a damaged one is told before any value is read.
Result<void> ParquetFile::read_groups(std::uint64_t rows) {
    if (rows > kParquetRowsMax) {
        return bytes_->bad(FaultCode::Oversized, "more than 4294967295 rows");
    }
    for (std::size_t i = 0; i < row_groups_.size(); ++i) {
        const auto group = row_group(i);
        if (!group) return group.error();
        rows_ += group->rows;
        if (rows_ > rows) break;
    }
    if (rows_ != rows) {
        return damaged(0, "the row groups together have more or fewer rows than the file");
    }
    return {};
}

Result<ParquetRowGroup> ParquetFile::row_group(std::size_t index) const {
    STARLING_CHECK(index < row_groups_.size());
    const auto at = row_groups_[index];
    ThriftReader reader(std::as_bytes(std::span(footer_)).subspan(at));
    ParquetRowGroup group;
    group.chunks.resize(columns_.size());
    std::vector<RawChunk> raw(columns_.size());
    std::size_t leaves = 0;
    std::int64_t rows = -1;
    bool elsewhere = false;
    bool encrypted = false;
    reader.fields([&](const ThriftField& field) {
        if (field.id == 3) return reader.integer(field, rows);
        if (field.id != 1) return false;
        leaves = 0;
        return reader.list(field, [&] {
            const auto chunk = read_chunk(reader);
            elsewhere = elsewhere || !chunk.path.empty();
            encrypted = encrypted || chunk.encrypted;
            if (leaves < columns_of_leaves_.size() && columns_of_leaves_[leaves] != kNoColumn) {
                raw[columns_of_leaves_[leaves]] = chunk;
            }
            ++leaves;
        });
    });
    const auto name = "row group " + std::to_string(index + 1) + ": ";
    if (!reader.ok() || rows < 0 || leaves != columns_of_leaves_.size()) {
        return damaged(at + reader.place(), name + "its part of the footer is damaged");
    }
    if (elsewhere) return bytes_->bad(FaultCode::Unsupported, name + "it lies in another file");
    if (encrypted) {
        return bytes_->bad(FaultCode::Unsupported, "some columns are encrypted; decrypt it first");
    }
    group.rows = static_cast<std::uint64_t>(rows);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (!columns_[i].readable()) continue;
        const auto wrong = check_chunk(raw[i], columns_[i], group.rows, footer_at_);
        if (!wrong.empty()) {
            return damaged(
                at, name + "column '" + printable(columns_[i].name) + "': " + std::string(wrong)
            );
        }
        group.chunks[i] = placed(raw[i], footer_at_);
    }
    return group;
}

}  // namespace starling::data
