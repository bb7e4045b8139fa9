#pragma once

// Numbers of few bits each, in the two forms that Parquet has. All bounds are those of the spans: what
// the bytes say of lengths is never allocated.
//
// Source    apache/parquet-format, Encodings.md

#include <cstdint>

#include "base/bytes.hpp"

namespace starling::data {

/// Returns the number of `width` bits that begins at a bit, the lowest bit of each byte first.
/// Requires  width <= 64; the bits are there
[[nodiscard]] std::uint64_t bits_at(ByteView bytes, std::uint64_t bit, unsigned width);

/// Takes numbers of Parquet's variable length from a span.
/// Returns false at its end, and for more than 64 bits.
[[nodiscard]] bool take_varint(ByteView bytes, std::size_t& at, std::uint64_t& out);

/// Runs of one number, and numbers side by side ("RLE / bit-packing hybrid").
/// Thread    one at a time
class RunLengths {
public:
    static constexpr unsigned kWidthMax = 32;

    RunLengths() = default;

    /// Requires  width <= kWidthMax; the bytes outlive this object
    RunLengths(ByteView bytes, unsigned width) : bytes_(bytes), width_(width) {}

    /// Returns false where the bytes end or are damaged.
    [[nodiscard]] bool next(std::uint32_t& out) {
        if (left_ == 0 && !next_run()) return false;
        --left_;
        if (!packed_) {
            out = value_;
            return true;
        }
        return next_packed(out);
    }

private:
    [[nodiscard]] bool next_run();
    [[nodiscard]] bool next_packed(std::uint32_t& out);

    ByteView bytes_;
    unsigned width_ = 0;
    std::size_t at_ = 0;       ///< where the next run begins
    std::uint64_t left_ = 0;   ///< numbers of this run
    bool packed_ = false;      ///< whether this run is one of numbers side by side
    std::uint32_t value_ = 0;  ///< of a run of one number
    std::uint64_t bit_ = 0;    ///< of the next number side by side
};

/// Differences in blocks, each block with a least difference and each part of it with a width
/// (DELTA_BINARY_PACKED).
/// Thread    one at a time
class DeltaNumbers {
public:
    /// Reads the head; the bytes must outlive this object. Returns false if it is damaged.
    [[nodiscard]] bool begin(ByteView bytes);

    /// Returns false after the last number, and where the bytes are damaged.
    [[nodiscard]] bool next(std::int64_t& out);

    [[nodiscard]] std::uint64_t count() const { return count_; }

    /// Passes over all numbers and returns where what follows them begins. Returns false if the bytes
    /// are damaged.
    [[nodiscard]] bool end(std::size_t& at);

private:
    [[nodiscard]] bool next_part();

    ByteView bytes_;
    std::size_t at_ = 0;            ///< where the part (a "miniblock") begins, or the next block
    std::uint64_t part_count_ = 0;  ///< parts of a block
    std::uint64_t part_size_ = 0;   ///< numbers of a part
    std::uint64_t count_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t value_ = 0;  ///< sums wrap, as those of the writers do
    std::uint64_t least_ = 0;
    ByteView widths_;
    std::uint64_t part_ = 0;   ///< of the block, the one that is read
    std::uint64_t place_ = 0;  ///< of the part, the next number
    unsigned width_ = 0;
    bool in_part_ = false;
};

}  // namespace starling::data
