#include "tests/unit/data/parquet/parquet_encodings.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace starling::data::testing {

namespace {

constexpr int kBoolean = 0;
constexpr int kInt32 = 1;
constexpr int kByteArray = 6;

void put_length(std::string& out, std::size_t length) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        out += static_cast<char>((length >> shift) & 0xffU);
    }
}

/// Appends numbers of so many bits, the lowest bit first.
class BitWriter {
public:
    explicit BitWriter(std::string& out) : out_(out) {}

    void put(std::uint64_t value, unsigned width) {
        for (unsigned i = 0; i < width; ++i) {
            if (used_ % 8 == 0) out_ += '\0';
            if (((value >> i) & 1U) != 0) {
                out_.back() = static_cast<char>(
                    static_cast<unsigned char>(out_.back()) | (1U << (used_ % 8))
                );
            }
            ++used_;
        }
    }

private:
    std::string& out_;
    unsigned used_ = 0;
};

std::vector<std::int64_t> whole_numbers(const RawValues& values, int type) {
    std::vector<std::int64_t> numbers;
    for (const auto& value : values) {
        std::int32_t small = 0;
        std::int64_t large = 0;
        if (type == kInt32) {
            std::memcpy(&small, value.data(), sizeof(small));
            large = small;
        } else {
            std::memcpy(&large, value.data(), sizeof(large));
        }
        numbers.push_back(large);
    }
    return numbers;
}

std::string plain(const RawValues& values, int type) {
    std::string out;
    BitWriter bits(out);
    for (const auto& value : values) {
        if (type == kBoolean) {
            bits.put(static_cast<unsigned char>(value[0]), 1);
            continue;
        }
        if (type == kByteArray) put_length(out, value.size());
        out += value;
    }
    return out;
}

std::string texts(const RawValues& values, bool with_prefixes) {
    std::vector<std::int64_t> shared;
    std::vector<std::int64_t> lengths;
    std::string bytes;
    std::string last;
    for (const auto& value : values) {
        std::size_t same = 0;
        while (with_prefixes && same < last.size() && same < value.size() &&
               last[same] == value[same]) {
            ++same;
        }
        shared.push_back(static_cast<std::int64_t>(same));
        lengths.push_back(static_cast<std::int64_t>(value.size() - same));
        bytes += value.substr(same);
        last = value;
    }
    return (with_prefixes ? delta_packed(shared) : "") + delta_packed(lengths) + bytes;
}

}  // namespace

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out += static_cast<char>((value & 0x7fU) | 0x80U);
        value >>= 7U;
    }
    out += static_cast<char>(value);
}

std::uint64_t zigzag(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    return value < 0 ? ~(bits << 1U) : bits << 1U;
}

std::string run_lengths(const std::vector<std::uint32_t>& numbers, unsigned width) {
    std::string out;
    std::size_t at = 0;
    while (at < numbers.size()) {
        std::size_t same = 1;
        while (at + same < numbers.size() && numbers[at + same] == numbers[at]) ++same;
        if (same >= 8) {
            put_varint(out, same << 1U);
            for (unsigned bit = 0; bit < width; bit += 8) {
                out += static_cast<char>((numbers[at] >> bit) & 0xffU);
            }
            at += same;
            continue;
        }
        put_varint(out, (1U << 1U) | 1U);
        BitWriter bits(out);
        for (std::size_t i = 0; i < 8; ++i) {
            bits.put(at + i < numbers.size() ? numbers[at + i] : 0, width);
        }
        at += 8;
    }
    return out;
}

std::string delta_packed(const std::vector<std::int64_t>& numbers) {
    constexpr std::size_t kBlock = 128;
    constexpr std::size_t kParts = 4;
    std::string out;
    put_varint(out, kBlock);
    put_varint(out, kParts);
    put_varint(out, numbers.size());
    put_varint(out, zigzag(numbers.empty() ? 0 : numbers[0]));
    for (std::size_t at = 1; at < numbers.size(); at += kBlock) {
        std::vector<std::int64_t> steps;
        for (std::size_t i = at; i < std::min(numbers.size(), at + kBlock); ++i) {
            steps.push_back(static_cast<std::int64_t>(
                static_cast<std::uint64_t>(numbers[i]) - static_cast<std::uint64_t>(numbers[i - 1])
            ));
        }
        const auto least = *std::min_element(steps.begin(), steps.end());
        put_varint(out, zigzag(least));
        std::string widths;
        std::string bits;
        for (std::size_t part = 0; part < kParts; ++part) {
            std::vector<std::uint64_t> rest(kBlock / kParts);
            std::uint64_t all = 0;
            for (std::size_t i = 0; i < rest.size(); ++i) {
                const auto place = part * rest.size() + i;
                if (place >= steps.size()) continue;
                rest[i] =
                    static_cast<std::uint64_t>(steps[place]) - static_cast<std::uint64_t>(least);
                all |= rest[i];
            }
            unsigned width = 0;
            while (width < 64 && (all >> width) != 0) ++width;
            // A part behind the last number has no bytes at all.
            if (part * rest.size() >= steps.size()) width = 0;
            widths += static_cast<char>(width);
            BitWriter writer(bits);
            for (const auto number : rest) writer.put(number, width);
        }
        out += widths + bits;
    }
    return out;
}

std::string encoded(const RawValues& values, int type, int encoding) {
    if (encoding == 0) return plain(values, type);
    if (encoding == 3) {
        std::vector<std::uint32_t> bits;
        for (const auto& value : values) bits.push_back(static_cast<unsigned char>(value[0]));
        const auto runs = run_lengths(bits, 1);
        std::string out;
        put_length(out, runs.size());
        return out + runs;
    }
    if (encoding == 5) return delta_packed(whole_numbers(values, type));
    if (encoding == 6 || encoding == 7) return texts(values, encoding == 7);
    if (encoding == 9) {
        std::string out;
        for (std::size_t i = 0; !values.empty() && i < values[0].size(); ++i) {
            for (const auto& value : values) out += value[i];
        }
        return out;
    }
    throw std::logic_error("an encoding that the tests do not write");
}

}  // namespace starling::data::testing
