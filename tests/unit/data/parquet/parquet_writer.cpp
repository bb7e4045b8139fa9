#include "tests/unit/data/parquet/parquet_writer.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <snappy-c.h>
#include <stdexcept>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/data/parquet/parquet_encodings.hpp"

namespace starling::data::testing {

namespace {

constexpr int kRunLengths = 3;
constexpr int kDictionary = 8;

/// Writes a struct of Thrift's compact protocol, field by field with rising ids.
class Struct {
public:
    Struct& i32(int id, std::int64_t value) { return head(id, 5).varint(zigzag(value)); }

    Struct& i64(int id, std::int64_t value) { return head(id, 6).varint(zigzag(value)); }

    Struct& flag(int id, bool value) { return head(id, value ? 1 : 2); }

    Struct& text(int id, const std::string& value) {
        head(id, 8).varint(value.size());
        out_ += value;
        return *this;
    }

    Struct& nested(int id, const Struct& value) {
        head(id, 12);
        out_ += value.done();
        return *this;
    }

    Struct& list(int id, const std::vector<Struct>& values) {
        list_head(id, 12, values.size());
        for (const auto& value : values) out_ += value.done();
        return *this;
    }

    Struct& numbers(int id, const std::vector<int>& values) {
        list_head(id, 5, values.size());
        for (const auto value : values) varint(zigzag(value));
        return *this;
    }

    Struct& texts(int id, const std::vector<std::string>& values) {
        list_head(id, 8, values.size());
        for (const auto& value : values) {
            varint(value.size());
            out_ += value;
        }
        return *this;
    }

    [[nodiscard]] std::string done() const { return out_ + '\0'; }

private:
    Struct& head(int id, int type) {
        const int step = id - last_;
        if (step > 0 && step < 16) {
            out_ += static_cast<char>((step << 4) | type);
        } else {
            out_ += static_cast<char>(type);
            varint(zigzag(id));
        }
        last_ = id;
        return *this;
    }

    void list_head(int id, int type, std::size_t size) {
        head(id, 9);
        if (size < 15) {
            out_ += static_cast<char>((size << 4U) | static_cast<unsigned>(type));
        } else {
            out_ += static_cast<char>(0xf0 | type);
            varint(size);
        }
    }

    Struct& varint(std::uint64_t value) {
        put_varint(out_, value);
        return *this;
    }

    std::string out_;
    int last_ = 0;
};

std::string packed(const std::string& bytes, int codec) {
    std::string out;
    if (codec == 0) return bytes;
    if (codec == 1) {
        std::size_t size = snappy_max_compressed_length(bytes.size());
        out.resize(size);
        if (snappy_compress(bytes.data(), bytes.size(), out.data(), &size) != SNAPPY_OK) {
            throw std::logic_error("snappy");
        }
        out.resize(size);
        return out;
    }
    if (codec == 6) {
        out.resize(ZSTD_compressBound(bytes.size()));
        out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 3));
        return out;
    }
    if (codec != 2) return bytes;  // a codec that is only named
    z_stream stream{};
    if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::logic_error("zlib");
    }
    out.resize(deflateBound(&stream, bytes.size()));
    std::string in = bytes;
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

unsigned bits_for(std::size_t count) {
    unsigned width = 0;
    while ((count >> width) != 0) ++width;
    return width;
}

/// Writes the pages of one column of one row group.
class ChunkWriter {
public:
    ChunkWriter(const ParquetFilePlan& file, const ParquetPlan& column, std::string& out)
        : file_(file),
          column_(column),
          out_(out) {}

    /// Returns the struct ColumnChunk.
    Struct write(std::size_t begin, std::size_t end) {
        const auto start = out_.size();
        if (column_.encoding == kDictionary) write_dictionary(begin, end);
        const auto data = out_.size();
        for (auto at = begin; at < end; at += file_.rows_in_page) {
            write_page(at, std::min(end, at + file_.rows_in_page), at - begin);
        }
        Struct meta;
        meta.i32(1, column_.type)
            .numbers(2, {column_.encoding, kRunLengths})
            .texts(3, {column_.name})
            .i32(4, file_.codec)
            .i64(5, static_cast<std::int64_t>(end - begin))
            .i64(6, static_cast<std::int64_t>(unpacked_))
            .i64(7, static_cast<std::int64_t>(out_.size() - start))
            .i64(9, static_cast<std::int64_t>(data));
        if (data != start) meta.i64(11, static_cast<std::int64_t>(start));
        Struct chunk;
        chunk.i64(2, static_cast<std::int64_t>(start)).nested(3, meta);
        return chunk;
    }

private:
    void write_dictionary(std::size_t begin, std::size_t end) {
        // Whole pages: one that begins before `plain_from` is by dictionary to its end.
        for (auto i = begin; i < end; ++i) {
            if ((i - begin) / file_.rows_in_page * file_.rows_in_page >= column_.plain_from) break;
            const auto& value = column_.values[i];
            if (value && std::find(words_.begin(), words_.end(), *value) == words_.end()) {
                words_.push_back(*value);
            }
        }
        Struct head;
        head.i32(1, static_cast<std::int64_t>(words_.size())).i32(2, 0);
        put_page(2, "", encoded(words_, column_.type, 0), 7, head);
    }

    void write_page(std::size_t begin, std::size_t end, std::size_t row) {
        RawValues present;
        std::vector<std::uint32_t> levels;
        for (auto i = begin; i < end; ++i) {
            levels.push_back(column_.values[i] ? 1 : 0);
            if (column_.values[i]) present.push_back(*column_.values[i]);
        }
        auto encoding = column_.encoding;
        if (encoding == kDictionary && row >= column_.plain_from) encoding = 0;
        const auto body = encoding == kDictionary ? by_dictionary(present)
                                                  : encoded(present, column_.type, encoding);
        const auto marks = column_.required ? std::string() : run_lengths(levels, 1);
        const auto count = static_cast<std::int64_t>(end - begin);
        Struct head;
        if (file_.page_version == 1) {
            head.i32(1, count).i32(2, encoding).i32(3, kRunLengths).i32(4, kRunLengths);
            const auto size = static_cast<std::uint32_t>(marks.size());
            put_page(0, "", (column_.required ? "" : plain_bytes(size)) + marks + body, 5, head);
            return;
        }
        head.i32(1, count)
            .i32(2, count - static_cast<std::int64_t>(present.size()))
            .i32(3, count)
            .i32(4, encoding)
            .i32(5, static_cast<std::int64_t>(marks.size()))
            .i32(6, 0)
            .flag(7, file_.codec != 0);
        put_page(3, marks, body, 8, head);
    }

    std::string by_dictionary(const RawValues& values) {
        const auto width = bits_for(words_.empty() ? 0 : words_.size() - 1);
        std::vector<std::uint32_t> places;
        for (const auto& value : values) {
            const auto found = std::find(words_.begin(), words_.end(), value);
            places.push_back(static_cast<std::uint32_t>(found - words_.begin()));
        }
        return static_cast<char>(width) + run_lengths(places, width);
    }

    void put_page(
        int kind, const std::string& levels, const std::string& body, int field, const Struct& head
    ) {
        const auto content = levels + packed(body, file_.codec);
        Struct page;
        page.i32(1, kind)
            .i32(2, static_cast<std::int64_t>(levels.size() + body.size()))
            .i32(3, static_cast<std::int64_t>(content.size()));
        if (file_.checksums) {
            const auto* bytes = reinterpret_cast<const Bytef*>(content.data());
            const auto sum = crc32(0, bytes, static_cast<uInt>(content.size()));
            page.i32(4, static_cast<std::int32_t>(static_cast<std::uint32_t>(sum)));
        }
        page.nested(field, head);
        const auto bytes = page.done();
        out_ += bytes + content;
        unpacked_ += bytes.size() + levels.size() + body.size();
    }

    const ParquetFilePlan& file_;
    const ParquetPlan& column_;
    std::string& out_;
    RawValues words_;  ///< of the dictionary
    std::size_t unpacked_ = 0;
};

Struct schema_of(const ParquetPlan& column) {
    Struct node;
    node.i32(1, column.type);
    if (column.width > 0) node.i32(2, column.width);
    node.i32(3, column.required ? 0 : 1).text(4, column.name);
    if (column.converted >= 0) node.i32(6, column.converted);
    if (column.scale > 0) node.i32(7, column.scale).i32(8, 38);
    if (column.logical >= 0) {
        Struct meant;
        if (column.logical == 8)
            meant.flag(1, true).nested(2, Struct().nested(column.time_unit, {}));
        node.nested(10, Struct().nested(column.logical, meant));
    }
    return node;
}

/// A chunk that is complete in the footer and empty in the file.
Struct list_chunk() {
    Struct meta;
    meta.i32(1, 1).numbers(2, {0, kRunLengths}).texts(3, {"more", "list", "element"}).i32(4, 0);
    meta.i64(5, 0).i64(6, 0).i64(7, 0).i64(9, 4);
    return Struct().i64(2, 4).nested(3, meta);
}

}  // namespace

std::string write_parquet(const ParquetFilePlan& plan) {
    std::string out = "PAR1";
    const auto rows = plan.columns.empty() ? 0 : plan.columns[0].values.size();
    std::vector<Struct> nodes(1);
    nodes[0]
        .text(4, "schema")
        .i32(5, static_cast<std::int64_t>(plan.columns.size() + (plan.with_list ? 1 : 0)));
    if (plan.with_list) {
        nodes.push_back(Struct().i32(3, 1).text(4, "more").i32(5, 1).i32(6, 3));
        nodes.push_back(Struct().i32(3, 2).text(4, "list").i32(5, 1));
        nodes.push_back(Struct().i32(1, 1).i32(3, 1).text(4, "element"));
    }
    for (const auto& column : plan.columns) nodes.push_back(schema_of(column));
    std::vector<Struct> groups;
    for (std::size_t at = 0; at < rows; at += plan.rows_in_group) {
        const auto end = std::min(rows, at + plan.rows_in_group);
        std::vector<Struct> chunks;
        // Nobody reads the values of the list.
        if (plan.with_list) chunks.push_back(list_chunk());
        for (const auto& column : plan.columns) {
            chunks.push_back(ChunkWriter(plan, column, out).write(at, end));
        }
        groups.push_back(Struct()
                             .list(1, chunks)
                             .i64(2, static_cast<std::int64_t>(out.size()))
                             .i64(3, static_cast<std::int64_t>(end - at)));
    }
    Struct footer;
    footer.i32(1, plan.page_version)
        .list(2, nodes)
        .i64(3, static_cast<std::int64_t>(rows))
        .list(4, groups)
        .text(6, "the tests of starling");
    const auto bytes = footer.done();
    return out + bytes + plain_bytes(static_cast<std::uint32_t>(bytes.size())) + "PAR1";
}

}  // namespace starling::data::testing
