#include "data/formats/idx.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "base/check.hpp"
#include "data/formats/gz_source.hpp"

namespace starling::data {

namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;
constexpr std::size_t kRankMax = 4;
constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;

Result<void> check_magic(
    const GzSource& source, std::span<const std::uint8_t> magic, std::size_t rank
) {
    if (magic[0] != 0 || magic[1] != 0) {
        return source.bad(
            FaultCode::BadFormat, "not an IDX file: it must start with two zero bytes"
        );
    }
    if (magic[2] != kUnsignedByte) {
        return source.bad(
            FaultCode::BadFormat,
            "element type " + std::to_string(magic[2]) + "; only unsigned bytes (8) are read"
        );
    }
    if (magic[3] != rank) {
        return source.bad(
            FaultCode::BadFormat,
            "it has " + std::to_string(magic[3]) + " dimensions, " + std::to_string(rank) +
                " are expected; are images and labels swapped?"
        );
    }
    return {};
}

Result<std::uint64_t> read_header(GzSource& source, std::size_t rank, IdxArray& array) {
    std::array<std::uint8_t, 4 + 4 * kRankMax> header{};
    const std::size_t length = 4 + 4 * rank;
    const auto got = source.read(std::span(header).first(length));
    if (!got) return got.error();
    if (*got < 4) return source.bad(FaultCode::Truncated, "it ends inside the header");
    if (auto magic = check_magic(source, header, rank); !magic) return magic.error();
    if (*got < length) return source.bad(FaultCode::Truncated, "it ends inside the header");
    std::uint64_t bytes = 1;
    for (std::size_t i = 4; i < length; i += 4) {
        std::uint32_t size = 0;
        for (std::size_t j = 0; j < 4; ++j) size = (size << 8U) | header[i + j];
        if (size == 0) return source.bad(FaultCode::BadValue, "it holds nothing: a size is 0");
        // bytes <= 2^31 and size < 2^32: the product fits.
        bytes *= size;
        if (bytes > kIdxBytesMax) {
            return source.bad(FaultCode::Oversized, "its header promises more than 2 GiB");
        }
        array.dimensions.push_back(size);
    }
    return bytes;
}

}  // namespace

Result<IdxArray> read_idx(const std::filesystem::path& file, std::size_t rank) {
    STARLING_CHECK(rank >= 1 && rank <= kRankMax);
    auto source = GzSource::open(file);
    if (!source) return source.error();
    IdxArray array;
    const auto bytes = read_header(*source, rank, array);
    if (!bytes) return bytes.error();
    while (array.values.size() < *bytes) {
        // We grow by as much as has arrived already, so a short file with a large size in its
        // header takes little memory.
        const std::size_t start = array.values.size();
        const std::size_t piece =
            std::min<std::uint64_t>(*bytes - start, std::max(kPieceBytes, start));
        array.values.resize(start + piece);
        const auto got = source->read(std::span(array.values).subspan(start));
        if (!got) return got.error();
        if (*got < piece) {
            return source->bad(
                FaultCode::Truncated,
                "it ends after " + std::to_string(start + *got) + " of " + std::to_string(*bytes) +
                    " bytes; fetch the file again"
            );
        }
    }
    std::array<std::uint8_t, 1> beyond{};
    const auto extra = source->read(beyond);
    if (!extra) return extra.error();
    if (*extra != 0) {
        return source->bad(
            FaultCode::BadFormat,
            "bytes follow the " + std::to_string(*bytes) + " that its header promises"
        );
    }
    return array;
}

}  // namespace starling::data
