#include "gossip/gap_memory.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "gossip/encoding/encoding.hpp"

namespace starling::gossip {
namespace {

constexpr float kUnknown = -1.0F;

}  // namespace

void GapMemory::lay_out(std::span<const std::size_t> chunk_elements) {
    partners_.clear();
    first_block_.assign(1, 0);
    for (const auto elements : chunk_elements) {
        first_block_.push_back(first_block_.back() + block_count(elements));
    }
    latest_.clear();
}

const GapMemory::Partner* GapMemory::find(const PeerId& id) const {
    const auto found = std::find_if(partners_.begin(), partners_.end(), [&](const Partner& p) {
        return p.id == id;
    });
    return found == partners_.end() ? nullptr : &*found;
}

GapMemory::Partner* GapMemory::find_or_make(const PeerId& id) {
    for (auto& partner : partners_) {
        if (partner.id == id) return &partner;
    }
    const std::size_t bytes = first_block_.back() * sizeof(float);
    if (bytes == 0 || bytes > kBytesMax) return nullptr;
    Partner partner{id, 0, std::vector<float>(first_block_.back(), kUnknown)};
    if (partners_.size() < std::min(kPartnersMax, kBytesMax / bytes)) {
        return &partners_.emplace_back(std::move(partner));
    }
    auto& oldest =
        *std::min_element(partners_.begin(), partners_.end(), [](const auto& a, const auto& b) {
            return a.used < b.used;
        });
    oldest = std::move(partner);
    return &oldest;
}

std::span<const float> GapMemory::of(const PeerId& partner, std::uint32_t chunk) const {
    STARLING_CHECK(std::size_t{chunk} + 1 < first_block_.size());
    const auto* found = find(partner);
    if (found == nullptr) return {};
    const std::size_t begin = first_block_[chunk];
    const auto gaps = std::span(found->gaps).subspan(begin, first_block_[chunk + 1] - begin);
    if (std::any_of(gaps.begin(), gaps.end(), [](float gap) { return gap < 0.0F; })) return {};
    return gaps;
}

std::span<const float> GapMemory::latest(std::uint32_t chunk) const {
    STARLING_CHECK(std::size_t{chunk} + 1 < first_block_.size());
    const std::size_t begin = first_block_[chunk];
    const std::size_t count = first_block_[chunk + 1] - begin;
    if (count == 0 || latest_.empty() || latest_[begin] < 0.0F) return {};
    return std::span(latest_).subspan(begin, count);
}

void GapMemory::note(const PeerId& partner, std::uint32_t chunk, std::span<const float> gaps) {
    STARLING_CHECK(std::size_t{chunk} + 1 < first_block_.size());
    if (latest_.empty()) latest_.assign(first_block_.back(), kUnknown);
    std::copy(
        gaps.begin(), gaps.end(), latest_.begin() + static_cast<std::ptrdiff_t>(first_block_[chunk])
    );
    auto* found = find_or_make(partner);
    if (found == nullptr) return;
    found->used = ++clock_;
    const std::size_t begin = first_block_[chunk];
    STARLING_CHECK(gaps.size() == first_block_[chunk + 1] - begin);
    std::copy(gaps.begin(), gaps.end(), found->gaps.begin() + static_cast<std::ptrdiff_t>(begin));
}

void GapMemory::forget(const PeerId& partner, std::uint32_t chunk) {
    if (find(partner) == nullptr) return;
    const std::vector<float> unknown(first_block_[chunk + 1] - first_block_[chunk], kUnknown);
    note(partner, chunk, unknown);
}

}  // namespace starling::gossip
