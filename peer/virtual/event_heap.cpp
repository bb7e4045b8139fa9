#include "peer/virtual/event_heap.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.hpp"

namespace starling::peer_virtual {

bool EventHeap::later(const Key& a, const Key& b) {
    return std::tie(a.at, a.sequence) > std::tie(b.at, b.sequence);
}

void EventHeap::push(Instant at, Event event) {
    STARLING_CHECK(at >= last_);
    std::uint32_t slot = 0;
    if (free_.empty()) {
        slot = static_cast<std::uint32_t>(slots_.size());
        slots_.push_back(std::move(event));
    } else {
        slot = free_.back();
        free_.pop_back();
        slots_[slot] = std::move(event);
    }
    keys_.push_back({at, sequence_++, slot});
    std::push_heap(keys_.begin(), keys_.end(), later);
}

std::optional<Instant> EventHeap::next_time() const {
    if (keys_.empty()) return std::nullopt;
    return keys_.front().at;
}

Event EventHeap::pop() {
    STARLING_CHECK(!keys_.empty());
    std::pop_heap(keys_.begin(), keys_.end(), later);
    const auto key = keys_.back();
    keys_.pop_back();
    last_ = key.at;
    free_.push_back(key.slot);
    return std::move(slots_[key.slot]);
}

}  // namespace starling::peer_virtual
