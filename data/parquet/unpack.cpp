#include "data/parquet/unpack.hpp"

#include <algorithm>
#include <array>
#include <snappy-c.h>
#include <string_view>
#include <zlib.h>
#include <zstd.h>

namespace starling::data {

namespace {

constexpr std::int64_t kUncompressed = 0;
constexpr std::int64_t kSnappy = 1;
constexpr std::int64_t kGzip = 2;
constexpr std::int64_t kZstd = 6;
constexpr std::array<std::string_view, 8> kCodecs{
    "UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW"};

bool unpack_snappy(std::span<const std::uint8_t> packed, std::span<std::uint8_t> out) {
    const auto* in = reinterpret_cast<const char*>(packed.data());
    std::size_t length = 0;
    // Snappy writes as many bytes as its own header says, so that is compared first.
    if (snappy_uncompressed_length(in, packed.size(), &length) != SNAPPY_OK) return false;
    if (length != out.size()) return false;
    auto* room = reinterpret_cast<char*>(out.data());
    return snappy_uncompress(in, packed.size(), room, &length) == SNAPPY_OK && length == out.size();
}

bool unpack_zstd(std::span<const std::uint8_t> packed, std::span<std::uint8_t> out) {
    // The simple function decompresses into `out` itself and needs no window beside it.
    const auto got = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
    return ZSTD_isError(got) == 0 && got == out.size();
}

/// Some writers put several gzip streams into one page.
bool unpack_gzip(std::span<const std::uint8_t> packed, std::span<std::uint8_t> out) {
    constexpr int kGzipOrZlib = 15 + 32;
    z_stream stream{};
    if (inflateInit2(&stream, kGzipOrZlib) != Z_OK) return false;
    stream.next_in = const_cast<Bytef*>(packed.data());  // zlib reads alone, but does not say it
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    int state = Z_OK;
    while (state == Z_OK) {
        state = inflate(&stream, Z_FINISH);
        if (state != Z_STREAM_END || stream.avail_in == 0 || stream.avail_out == 0) break;
        state = inflateReset(&stream);
    }
    const bool whole = state == Z_STREAM_END && stream.avail_out == 0;
    inflateEnd(&stream);
    return whole;
}

}  // namespace

Result<void> check_parquet_codec(std::int64_t codec) {
    if (codec == kUncompressed || codec == kSnappy || codec == kGzip || codec == kZstd) return {};
    const bool known = codec >= 0 && codec < static_cast<std::int64_t>(kCodecs.size());
    return fail(
        FaultCode::Unsupported,
        "it is compressed with " +
            (known ? std::string(kCodecs[static_cast<std::size_t>(codec)])
                   : "codec " + std::to_string(codec)) +
            "; write it with ZSTD, SNAPPY, GZIP or without compression"
    );
}

Result<void> unpack_parquet(
    std::int64_t codec, std::span<const std::uint8_t> packed, std::span<std::uint8_t> out
) {
    bool sound = false;
    if (out.empty()) {
        sound = true;  // some writers compress nothing to nothing at all
    } else if (codec == kUncompressed) {
        sound = packed.size() == out.size();
        if (sound) std::copy(packed.begin(), packed.end(), out.begin());
    } else if (codec == kSnappy) {
        sound = unpack_snappy(packed, out);
    } else if (codec == kGzip) {
        sound = unpack_gzip(packed, out);
    } else if (codec == kZstd) {
        sound = unpack_zstd(packed, out);
    }
    if (sound) return {};
    return fail(FaultCode::BadFormat, "what is compressed in it is damaged");
}

}  // namespace starling::data
