#include "data/arrays/npy.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.hpp"

namespace starling::data {

namespace {

/// numpy pads headers to 64 bytes; this is enough for nearly all, and the rest is read when needed.
constexpr std::size_t kFirstBytes = 1024;
constexpr std::size_t kPieceBytes = std::size_t{1} << 16U;

void reverse_elements(std::span<std::uint8_t> bytes, std::size_t width) {
    for (std::size_t at = 0; at + width <= bytes.size(); at += width) {
        const auto element = bytes.subspan(at, width);
        std::reverse(element.begin(), element.end());
    }
}

template <class T>
double load(std::span<const std::uint8_t> bytes, std::size_t index) {
    T value{};
    STARLING_CHECK((index + 1) * sizeof(T) <= bytes.size());
    std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
    return static_cast<double>(value);
}

/// IEEE's half: 1 bit of sign, 5 of exponent, 10 of fraction.
double load_half(std::span<const std::uint8_t> bytes, std::size_t index) {
    const auto bits = static_cast<std::uint16_t>(load<std::uint16_t>(bytes, index));
    const int exponent = (bits >> 10U) & 0x1f;
    const int fraction = bits & 0x3ff;
    double value =
        std::ldexp(exponent == 0 ? fraction : fraction + 1024, std::max(exponent, 1) - 25);
    if (exponent == 0x1f) value = fraction == 0 ? HUGE_VAL : std::nan("");
    return bits >> 15U ? -value : value;
}

}  // namespace

Result<NpyReader> NpyReader::open(ByteStream& stream, std::optional<std::uint64_t> size) {
    std::string beginning;
    while (true) {
        const auto start = beginning.size();
        const auto wanted = start == 0 ? kFirstBytes : kNpyHeaderBytesMax - start;
        beginning.resize(start + wanted);
        auto* room = reinterpret_cast<std::uint8_t*>(beginning.data()) + start;
        const auto got = stream.read({room, wanted});
        if (!got) return got.error();
        beginning.resize(start + *got);
        auto header = parse_npy_header(beginning);
        const bool whole = *got < wanted || beginning.size() == kNpyHeaderBytesMax;
        if (!header && (whole || header.error().code != FaultCode::Truncated)) {
            return stream.bad(header.error().code, header.error().message);
        }
        if (!header) continue;
        const auto promised = header->header_bytes + header->content_bytes();
        if (size && *size != promised) {
            return stream.bad(
                FaultCode::Corrupt,
                "its header promises " + std::to_string(promised) + " bytes, it has " +
                    std::to_string(*size)
            );
        }
        beginning.erase(0, header->header_bytes);
        return NpyReader(stream, std::move(*header), std::move(beginning));
    }
}

/// Fills `out` from the file as it is.
Result<void> NpyReader::read_raw(std::span<std::uint8_t> out) {
    const auto known = std::min(out.size(), beginning_.size());
    std::copy_n(beginning_.begin(), known, out.begin());
    beginning_.erase(0, known);
    if (known == out.size()) return {};
    const auto got = stream_->read(out.subspan(known));
    if (!got) return got.error();
    if (known + *got < out.size()) {
        return stream_->bad(
            FaultCode::Truncated,
            "it ends before the " + std::to_string(header_.content_bytes()) +
                " bytes that its shape promises"
        );
    }
    return {};
}

Result<void> NpyReader::check_end() {
    std::uint8_t beyond = 0;
    const auto got = beginning_.empty() ? stream_->read({&beyond, 1}) : Result<std::size_t>(1);
    if (!got) return got.error();
    if (*got == 0) return {};
    return stream_->bad(FaultCode::BadFormat, "bytes follow the array that its header promises");
}

/// Reads the whole array and puts it into C order.
Result<void> NpyReader::turn() {
    if (header_.content_bytes() > kNpyFortranBytesMax) {
        return stream_->bad(
            FaultCode::Oversized, "Fortran order of over 64 MiB; save numpy.ascontiguousarray of it"
        );
    }
    // The room grows with what has arrived: the shape is a claim.
    std::vector<std::uint8_t> columns;
    const auto bytes = static_cast<std::size_t>(header_.content_bytes());
    while (columns.size() < bytes) {
        const auto start = columns.size();
        columns.resize(std::min(bytes, start + std::max(start, kPieceBytes)));
        if (auto read = read_raw(std::span(columns).subspan(start)); !read) return read;
    }
    const auto width = bytes_of(header_.element);
    const auto rows = static_cast<std::size_t>(header_.shape[0]);
    turned_.resize(bytes);
    for (std::size_t at = 0; at * width < bytes; ++at) {
        const auto column = at / rows;
        const auto place = (at % rows) * static_cast<std::size_t>(header_.shape[1]) + column;
        std::copy_n(&columns[at * width], width, &turned_[place * width]);
    }
    is_turned_ = true;
    return {};
}

Result<std::size_t> NpyReader::read(std::span<std::uint8_t> out) {
    const auto width = bytes_of(header_.element);
    STARLING_CHECK(out.size() % width == 0);
    out = out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), left_)));
    if (header_.fortran && !is_turned_) {
        if (auto turned = turn(); !turned) return turned.error();
    }
    if (is_turned_) {
        std::copy_n(
            turned_.begin() + static_cast<std::ptrdiff_t>(turned_at_), out.size(), out.begin()
        );
        turned_at_ += out.size();
    } else if (auto read = read_raw(out); !read) {
        return read.error();
    }
    if (header_.big_endian) reverse_elements(out, width);
    left_ -= out.size();
    if (left_ == 0) {
        if (auto ended = check_end(); !ended) return ended.error();
    }
    return out.size();
}

double npy_value(NpyElement element, std::span<const std::uint8_t> bytes, std::size_t index) {
    switch (element) {
        case NpyElement::Bool:
            return load<std::uint8_t>(bytes, index) != 0 ? 1 : 0;
        case NpyElement::U8:
            return load<std::uint8_t>(bytes, index);
        case NpyElement::I8:
            return load<std::int8_t>(bytes, index);
        case NpyElement::U16:
            return load<std::uint16_t>(bytes, index);
        case NpyElement::I16:
            return load<std::int16_t>(bytes, index);
        case NpyElement::U32:
            return load<std::uint32_t>(bytes, index);
        case NpyElement::I32:
            return load<std::int32_t>(bytes, index);
        case NpyElement::U64:
            return load<std::uint64_t>(bytes, index);
        case NpyElement::I64:
            return load<std::int64_t>(bytes, index);
        case NpyElement::F16:
            return load_half(bytes, index);
        case NpyElement::F32:
            return load<float>(bytes, index);
        case NpyElement::F64:
            return load<double>(bytes, index);
    }
    STARLING_UNREACHABLE("element type");
}

}  // namespace starling::data
