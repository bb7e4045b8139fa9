#include "data/parquet/numbers.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace starling::data {

namespace {

constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kDecimalBytesMax = 64;

/// Rounds once, which dividing a rounded number by a rounded power of ten does not.
double parsed(std::string digits, std::uint32_t scale) {
    digits += "e-" + std::to_string(scale);
    double value = 0;
    const char* end = digits.data() + digits.size();
    const auto [read, error] = std::from_chars(digits.data(), end, value);
    return read == end && error == std::errc{} ? value : kNoNumber;
}

}  // namespace

double decimal_of(std::int64_t value, std::uint32_t scale) {
    // Up to here both are exact as doubles, so one division rounds once.
    constexpr std::int64_t kExact = std::int64_t{1} << 53U;
    static constexpr std::array<double, 23> kPowers{1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (value > -kExact && value < kExact && scale < kPowers.size()) {
        return static_cast<double>(value) / kPowers[scale];
    }
    return parsed(std::to_string(value), scale);
}

double decimal_of_bytes(ByteView bytes, std::uint32_t scale) {
    const bool negative = !bytes.empty() && (bytes[0] & std::byte{0x80}) != std::byte{0};
    const auto filler = negative ? std::byte{0xff} : std::byte{0};
    while (bytes.size() > 8 && bytes[0] == filler && (bytes[1] >> 7U) == (filler >> 7U)) {
        bytes = bytes.subspan(1);
    }
    if (bytes.size() <= 8) {
        std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
        for (const auto byte : bytes) value = (value << 8U) | std::to_integer<std::uint64_t>(byte);
        return decimal_of(static_cast<std::int64_t>(value), scale);
    }
    if (bytes.size() > kDecimalBytesMax) return kNoNumber;
    std::array<std::uint8_t, kDecimalBytesMax> size{};
    unsigned carry = negative ? 1 : 0;
    for (std::size_t i = bytes.size(); i-- > 0;) {
        const auto byte = std::to_integer<unsigned>(bytes[i]);
        carry += negative ? ~byte & 0xffU : byte;
        size[i] = static_cast<std::uint8_t>(carry & 0xffU);
        carry >>= 8U;
    }
    // Division by ten with pencil and paper gives the digits, the last one first.
    std::string digits;
    for (bool more = true; more;) {
        unsigned rest = 0;
        more = false;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const auto part = (rest << 8U) | size[i];
            size[i] = static_cast<std::uint8_t>(part / 10);
            rest = part % 10;
            more = more || size[i] != 0;
        }
        digits += static_cast<char>('0' + rest);
    }
    if (negative) digits += '-';
    std::reverse(digits.begin(), digits.end());
    return parsed(digits, scale);
}

double half_of(std::uint16_t bits) {
    const auto exponent = static_cast<int>((bits >> 10U) & 0x1fU);
    const auto fraction = static_cast<double>(bits & 0x3ffU);
    double size = 0;
    if (exponent == 31) {
        size = (bits & 0x3ffU) != 0 ? kNoNumber : std::numeric_limits<double>::infinity();
    } else {
        size = exponent == 0 ? std::ldexp(fraction, -24)
                             : std::ldexp(1024.0 + fraction, exponent - 25);
    }
    return (bits & 0x8000U) != 0 ? -size : size;
}

}  // namespace starling::data
