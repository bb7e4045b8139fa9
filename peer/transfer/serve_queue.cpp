#include "peer/transfer/serve_queue.hpp"

#include <utility>

namespace starling::peer {

bool ServeQueue::put(const PeerId& from, FrameType type, ByteView payload) {
    if (count_ >= kInAll || payload.size() > kRequestMax) return false;
    auto& queue = waiting_[from];
    if (queue.size() >= kOfOne) return false;
    queue.push_back({from, type, Bytes(payload.begin(), payload.end())});
    ++count_;
    return true;
}

std::optional<ServeQueue::Request> ServeQueue::take(const std::function<bool(const PeerId&)>& room
) {
    auto at = waiting_.upper_bound(last_);
    for (std::size_t tried = 0; tried < waiting_.size(); ++tried) {
        if (at == waiting_.end()) at = waiting_.begin();
        if (!room(at->first)) {
            ++at;
            continue;
        }
        auto request = std::move(at->second.front());
        at->second.pop_front();
        --count_;
        last_ = at->first;
        if (at->second.empty()) waiting_.erase(at);
        return request;
    }
    return std::nullopt;
}

void ServeQueue::forget(const PeerId& peer) {
    const auto at = waiting_.find(peer);
    if (at == waiting_.end()) return;
    count_ -= at->second.size();
    waiting_.erase(at);
}

}  // namespace starling::peer
