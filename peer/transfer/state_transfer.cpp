#include "peer/transfer/state_transfer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/finite.hpp"

namespace starling::peer {

namespace {

enum class ChunkStatus : std::uint8_t { Here = 0, Busy = 1 };

}  // namespace

void StateDonor::handle_info_request(const PeerId& from, bool ready, std::uint64_t schedule_step) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(layout_.bytes);
    writer.put(schedule_step);
    writer.put(static_cast<std::uint8_t>(ready ? 1 : 0));
    send_(from, FrameType::StateInfo, std::move(payload));
}

void StateDonor::handle_request(const PeerId& from, ByteView payload, bool overloaded) {
    ByteReader reader(payload);
    const auto chunk = reader.take<std::uint32_t>();
    if (!reader.finished() || chunk >= store_.layout().chunks().size()) return;
    const std::size_t size = store_.layout().chunks()[chunk].elements * sizeof(float);
    Bytes answer;
    answer.reserve(size + 5);
    ByteWriter writer(answer);
    writer.put(chunk);
    writer.put(ChunkStatus::Here);
    answer.resize(5 + size);
    if (overloaded || !store_.try_read(chunk, std::span(answer).subspan(5))) {
        answer.resize(5);
        answer[4] = static_cast<std::byte>(ChunkStatus::Busy);
    }
    send_(from, FrameType::StateChunk, std::move(answer));
}

StateFetch::StateFetch(compute::ParameterStore& store, const LayoutHash& layout, SendFrame send)
    : store_(store),
      layout_(layout),
      send_(std::move(send)),
      have_(store.layout().chunks().size()) {}

void StateFetch::set_candidates(Instant now, std::vector<PeerId> candidates) {
    candidates_ = std::move(candidates);
    ask_around(now);
}

void StateFetch::ask_around(Instant now) {
    ask_at_ = now + kAskEvery;
    for (const auto& candidate : candidates_) {
        if (donors_.size() >= kDonorsMax) return;
        if (donors_.contains(candidate) || asked_.contains(candidate)) continue;
        asked_.insert(candidate);
        send_(candidate, FrameType::StateInfoRequest, {});
    }
}

void StateFetch::handle_info(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    const LayoutHash layout{reader.take_array<32>()};
    const auto step = reader.take<std::uint64_t>();
    const auto ready = reader.take<std::uint8_t>();
    asked_.erase(from);
    if (!reader.ok() || layout != layout_ || ready == 0 || donors_.size() >= kDonorsMax) return;
    schedule_step_ = std::max(schedule_step_, step);
    donors_.try_emplace(from, 0);
    request_more(now);
}

void StateFetch::request_more(Instant now) {
    if (donors_.empty() || now < pause_until_) return;
    pause_until_ = {};
    for (std::uint32_t chunk = 0; chunk < have_.size(); ++chunk) {
        if (have_[chunk] || requests_.contains(chunk)) continue;
        const auto idlest =
            std::min_element(donors_.begin(), donors_.end(), [](const auto& a, const auto& b) {
                return a.second < b.second;
            });
        if (idlest->second >= kPerDonor) return;
        ++idlest->second;
        requests_[chunk] = Request{idlest->first, now + kChunkTimeout};
        Bytes payload;
        ByteWriter(payload).put(chunk);
        send_(idlest->first, FrameType::StateRequest, std::move(payload));
    }
}

void StateFetch::handle_chunk(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    const auto chunk = reader.take<std::uint32_t>();
    const auto status = reader.take<ChunkStatus>();
    const auto found = requests_.find(chunk);
    if (!reader.ok() || found == requests_.end() || found->second.donor != from) return;
    requests_.erase(found);
    if (const auto donor = donors_.find(from); donor != donors_.end()) --donor->second;
    if (status == ChunkStatus::Busy) {
        pause_until_ = now + kBusyPause;
        return;
    }
    const std::size_t elements = store_.layout().chunks()[chunk].elements;
    std::vector<float> values(elements);
    const auto bytes = reader.take_bytes(elements * sizeof(float));
    if (!reader.finished()) {
        lose_donor(now, from);
        return;
    }
    std::memcpy(values.data(), bytes.data(), bytes.size());
    if (!all_finite(values)) {
        lose_donor(now, from);
        return;
    }
    store_.write(chunk, values);
    have_[chunk] = true;
    ++done_;
    request_more(now);
}

void StateFetch::lose_donor(Instant now, const PeerId& donor) {
    donors_.erase(donor);
    asked_.erase(donor);
    std::erase_if(requests_, [&](const auto& entry) { return entry.second.donor == donor; });
    std::erase(candidates_, donor);
    request_more(now);
}

void StateFetch::handle_broken(Instant now, const PeerId& partner) {
    if (donors_.contains(partner) || asked_.contains(partner)) lose_donor(now, partner);
}

void StateFetch::handle_timeout(Instant now) {
    std::set<PeerId> late;
    for (const auto& [chunk, request] : requests_) {
        if (request.deadline <= now) late.insert(request.donor);
    }
    for (const auto& donor : late) lose_donor(now, donor);
    if (ask_at_ <= now) {
        asked_.clear();
        ask_around(now);
    }
    request_more(now);
}

std::optional<Instant> StateFetch::timeout() const {
    if (complete()) return std::nullopt;
    Instant next = ask_at_;
    if (pause_until_ != Instant{}) next = std::min(next, pause_until_);
    for (const auto& [chunk, request] : requests_) next = std::min(next, request.deadline);
    return next;
}

}  // namespace starling::peer
