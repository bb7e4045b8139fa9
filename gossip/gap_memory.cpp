#include "gossip/gap_memory.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace starling::gossip {
namespace {

constexpr BlockGap kUnknown{-1.0F, 0.0F};

constexpr double kCautionMax = 3.0;
/// 260 of the one make up for one of the other.
constexpr double kMoreCaution = 1.3;
constexpr double kLessCaution = 0.999;

}  // namespace

void GapMemory::lay_out(std::span<const std::size_t> slot_elements) {
    first_block_.assign(1, 0);
    for (const auto elements : slot_elements) {
        first_block_.push_back(first_block_.back() + block_count(elements));
    }
    gaps_.clear();
}

std::span<const BlockGap> GapMemory::latest(std::uint32_t slot) const {
    STARLING_CHECK(std::size_t{slot} + 1 < first_block_.size());
    const std::size_t begin = first_block_[slot];
    const std::size_t count = first_block_[slot + 1] - begin;
    if (count == 0 || gaps_.empty() || gaps_[begin] == kUnknown) return {};
    return std::span(gaps_).subspan(begin, count);
}

void GapMemory::note(std::uint32_t slot, std::span<const BlockGap> gaps) {
    STARLING_CHECK(std::size_t{slot} + 1 < first_block_.size());
    const std::size_t begin = first_block_[slot];
    STARLING_CHECK(gaps.size() == first_block_[slot + 1] - begin);
    if (gaps_.empty()) gaps_.assign(first_block_.back(), kUnknown);
    std::copy(gaps.begin(), gaps.end(), gaps_.begin() + static_cast<std::ptrdiff_t>(begin));
}

void GapMemory::wrapped() {
    caution_ = std::min(kCautionMax, kMoreCaution * caution_);
}

void GapMemory::decoded() {
    caution_ = std::max(1.0, kLessCaution * caution_);
}

}  // namespace starling::gossip
