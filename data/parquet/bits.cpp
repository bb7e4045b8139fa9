#include "data/parquet/bits.hpp"

#include <algorithm>
#include <cstring>

namespace starling::data {

std::uint64_t bits_at(ByteView bytes, std::uint64_t bit, unsigned width) {
    if (width == 0) return 0;
    const auto at = static_cast<std::size_t>(bit / 8);
    const auto shift = static_cast<unsigned>(bit % 8);
    const auto taken = std::min<std::size_t>(bytes.size() - at, 8);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, taken);
    value >>= shift;
    if (shift + width > 64) {
        value |= std::to_integer<std::uint64_t>(bytes[at + 8]) << (64 - shift);
    }
    return width == 64 ? value : value & ((std::uint64_t{1} << width) - 1);
}

bool take_varint(ByteView bytes, std::size_t& at, std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && at < bytes.size(); shift += 7) {
        const auto next = std::to_integer<std::uint64_t>(bytes[at++]);
        out |= (next & 0x7fU) << shift;
        if ((next & 0x80U) == 0) return true;
    }
    return false;
}

bool RunLengths::next_run() {
    while (left_ == 0) {
        if (packed_) {
            // The last run may be cut off behind its last number.
            at_ = static_cast<std::size_t>(std::min<std::uint64_t>((bit_ + 7) / 8, bytes_.size()));
        }
        std::uint64_t head = 0;
        if (!take_varint(bytes_, at_, head) || head > 0xffffffffU) return false;
        packed_ = (head & 1U) != 0;
        left_ = packed_ ? 8 * (head >> 1U) : head >> 1U;
        if (packed_) {
            bit_ = std::uint64_t{at_} * 8;
            continue;
        }
        const std::size_t taken = (width_ + 7) / 8;
        if (taken > bytes_.size() - at_) return false;
        value_ = static_cast<std::uint32_t>(bits_at(bytes_.subspan(at_, taken), 0, width_));
        at_ += taken;
    }
    return true;
}

bool RunLengths::next_packed(std::uint32_t& out) {
    if (bit_ + width_ > std::uint64_t{bytes_.size()} * 8) return false;
    out = static_cast<std::uint32_t>(bits_at(bytes_, bit_, width_));
    bit_ += width_;
    return true;
}

bool DeltaNumbers::begin(ByteView bytes) {
    constexpr std::uint64_t kBlockMax = std::uint64_t{1} << 24U;
    bytes_ = bytes;
    at_ = 0;
    done_ = 0;
    in_part_ = false;
    widths_ = {};
    part_ = 0;
    std::uint64_t block = 0;
    std::uint64_t first = 0;
    if (!take_varint(bytes_, at_, block) || !take_varint(bytes_, at_, part_count_) ||
        !take_varint(bytes_, at_, count_) || !take_varint(bytes_, at_, first)) {
        return false;
    }
    if (block == 0 || block > kBlockMax || part_count_ == 0 || block % part_count_ != 0) {
        return false;
    }
    part_size_ = block / part_count_;
    value_ = (first >> 1U) ^ (~(first & 1U) + 1U);
    return part_size_ % 8 == 0;
}

/// Goes to the next part, and to the next block where the last one has no part any more.
bool DeltaNumbers::next_part() {
    if (in_part_) {
        const auto taken = part_size_ / 8 * width_;
        if (taken > bytes_.size() - at_) return false;
        at_ += static_cast<std::size_t>(taken);
        ++part_;
    }
    if (part_ == widths_.size()) {
        std::uint64_t least = 0;
        if (!take_varint(bytes_, at_, least)) return false;
        if (part_count_ > bytes_.size() - at_) return false;
        least_ = (least >> 1U) ^ (~(least & 1U) + 1U);
        widths_ = bytes_.subspan(at_, static_cast<std::size_t>(part_count_));
        at_ += widths_.size();
        part_ = 0;
    }
    width_ = std::to_integer<unsigned>(widths_[static_cast<std::size_t>(part_)]);
    place_ = 0;
    in_part_ = true;
    return width_ <= 64;
}

bool DeltaNumbers::next(std::int64_t& out) {
    if (done_ == count_) return false;
    if (done_++ > 0) {
        if ((!in_part_ || place_ == part_size_) && !next_part()) return false;
        const auto bit = place_++ * width_;
        if (bit + width_ > std::uint64_t{bytes_.size() - at_} * 8) return false;
        value_ += least_ + bits_at(bytes_.subspan(at_), bit, width_);
    }
    out = static_cast<std::int64_t>(value_);
    return true;
}

bool DeltaNumbers::end(std::size_t& at) {
    std::int64_t value = 0;
    while (done_ < count_) {
        if (!next(value)) return false;
    }
    // The last part is padded to its full size.
    const auto taken = in_part_ ? part_size_ / 8 * width_ : 0;
    at = at_ + static_cast<std::size_t>(std::min<std::uint64_t>(taken, bytes_.size() - at_));
    return true;
}

}  // namespace starling::data
