#include "data/media/ogg_headers.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace starling::data {

namespace {

constexpr std::size_t kPageHeaderBytes = 27;
constexpr std::size_t kChecksumAt = 22;

/// How the header packets of each kind of stream begin.
const std::array<std::string_view, 3> kVorbis{"\x01vorbis", "\x03vorbis", "\x05vorbis"};
const std::array<std::string_view, 2> kOpus{"OpusHead", "OpusTags"};

struct Page {
    std::size_t at = 0;
    std::uint32_t stream = 0;
    ByteView lengths;  ///< of the segments; one below 255 ends a packet
    ByteView payload;
    std::size_t bytes = 0;
};

Fault bad(FaultCode code, const std::string& what, std::size_t at) {
    return fail(code, "Ogg: " + what + " at byte " + std::to_string(at) + "; replace the file");
}

constexpr std::array<std::uint32_t, 256> kChecksumTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i << 24U;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value << 1U) ^ ((value >> 31U) * 0x04c11db7U);
        }
        table[i] = value;
    }
    return table;
}();

/// CRC-32 with the most significant bit first, from 0; the checksum's own place counts as zeros.
std::uint32_t checksum(ByteView page) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < page.size(); ++i) {
        const bool own = i >= kChecksumAt && i < kChecksumAt + 4;
        const auto byte = own ? 0U : std::to_integer<std::uint32_t>(page[i]);
        value = (value << 8U) ^ kChecksumTable[((value >> 24U) ^ byte) & 0xffU];
    }
    return value;
}

Result<Page> page_at(ByteView bytes, std::size_t at) {
    ByteReader reader(bytes.subspan(at));
    const auto magic = as_text(reader.take_bytes(4));
    if (reader.ok() && magic != "OggS") return bad(FaultCode::BadFormat, "no page begins", at);
    reader.take_bytes(1 + 1 + 8);  // version, flags, position
    Page page{at, reader.take<std::uint32_t>(), {}, {}, 0};
    reader.take_bytes(4);  // number of the page
    const auto stated = reader.take<std::uint32_t>();
    page.lengths = reader.take_bytes(reader.take<std::uint8_t>());
    std::size_t length = 0;
    for (const auto segment : page.lengths) length += std::to_integer<std::size_t>(segment);
    page.payload = reader.take_bytes(length);
    if (!reader.ok()) return bad(FaultCode::Truncated, "the headers end", bytes.size());
    page.bytes = kPageHeaderBytes + page.lengths.size() + length;
    if (checksum(bytes.subspan(at, page.bytes)) != stated) {
        return bad(FaultCode::Corrupt, "a wrong checksum", at);
    }
    return page;
}

/// Follows packets through pages until all headers were there.
class HeaderWalk {
public:
    /// Takes the first page and finds out what the stream holds.
    Result<void> begin(const Page& page) {
        const auto text = as_text(page.payload);
        if (text.starts_with(kVorbis[0])) {
            names_ = kVorbis;
        } else if (text.starts_with(kOpus[0])) {
            names_ = kOpus;
        } else {
            return fail(
                FaultCode::Unsupported, "Ogg: neither Vorbis nor Opus; convert it to one of them"
            );
        }
        stream_ = page.stream;
        return {};
    }

    [[nodiscard]] bool done() const { return packets_ == names_.size(); }

    Result<void> take(const Page& page) {
        if (page.stream != stream_) {
            return bad(FaultCode::BadFormat, "a second stream begins", page.at);
        }
        std::size_t at = 0;
        for (std::size_t i = 0; i < page.lengths.size() && !done(); ++i) {
            if (!in_packet_ && !as_text(page.payload.subspan(at)).starts_with(names_[packets_])) {
                return bad(FaultCode::BadFormat, "another packet than a header", page.at);
            }
            const auto length = std::to_integer<std::size_t>(page.lengths[i]);
            at += length;
            in_packet_ = length == 255;
            if (!in_packet_) ++packets_;
        }
        return {};
    }

private:
    std::span<const std::string_view> names_;
    std::uint32_t stream_ = 0;
    std::size_t packets_ = 0;
    bool in_packet_ = false;
};

}  // namespace

Result<void> check_ogg_headers(ByteView bytes) {
    auto page = page_at(bytes, 0);
    if (!page) return page.error();
    HeaderWalk walk;
    if (auto ok = walk.begin(*page); !ok) return ok;
    while (true) {
        if (auto ok = walk.take(*page); !ok) return ok;
        if (walk.done()) return {};
        page = page_at(bytes, page->at + page->bytes);
        if (!page) return page.error();
    }
}

}  // namespace starling::data
