#include "peer/transfer/state_transfer.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace starling::peer {

namespace {

enum class ChunkStatus : std::uint8_t { Here = 0, Busy = 1 };

constexpr std::size_t kChunkHeadBytes = 5;

}  // namespace

void StateDonor::handle_info_request(const PeerId& from, bool ready, std::uint64_t schedule_step) {
    Bytes payload;
    ByteWriter writer(payload);
    writer.put_array(layout_.bytes);
    writer.put(schedule_step);
    writer.put(static_cast<std::uint8_t>(ready ? 1 : 0));
    out_.push_back({from, FrameType::StateInfo, std::move(payload)});
}

void StateDonor::handle_request(const PeerId& from, ByteView payload, bool overloaded) {
    ByteReader reader(payload);
    const auto chunk = reader.take<std::uint32_t>();
    if (!reader.finished() || chunk >= parameters_.chunk_count()) return;
    const std::size_t size = parameters_.chunk_bytes(chunk);
    Bytes answer;
    answer.reserve(kChunkHeadBytes + size);
    ByteWriter writer(answer);
    writer.put(chunk);
    writer.put(ChunkStatus::Here);
    answer.resize(kChunkHeadBytes + size);
    if (overloaded || !parameters_.try_read(chunk, std::span(answer).subspan(kChunkHeadBytes))) {
        answer.resize(kChunkHeadBytes);
        answer[4] = static_cast<std::byte>(ChunkStatus::Busy);
    }
    out_.push_back({from, FrameType::StateChunk, std::move(answer)});
}

StateFetch::StateFetch(
    ParameterChunks& parameters, const LayoutHash& layout, std::uint64_t salt, Outbox& out
)
    : parameters_(parameters),
      layout_(layout),
      salt_(salt),
      out_(out),
      have_(parameters.chunk_count()) {}

std::size_t StateFetch::count(Stage stage) const {
    return static_cast<std::size_t>(std::count_if(
        candidates_.begin(),
        candidates_.end(),
        [stage](const auto& entry) { return entry.second.stage == stage; }
    ));
}

void StateFetch::set_candidates(Instant now, std::span<const PeerId> candidates) {
    for (auto& [id, candidate] : candidates_) candidate.listed = false;
    for (const auto& id : candidates) {
        const auto [at, added] = candidates_.try_emplace(id);
        at->second.listed = true;
        if (added) at->second.due = now;
    }
    // A donor that is no longer listed may still answer. Its stream or its deadlines decide.
    std::erase_if(candidates_, [](const auto& entry) {
        return !entry.second.listed && entry.second.stage == Stage::Waiting;
    });
    ask_around(now);
}

/// Returns the candidate to ask next: of those that are due, the one whose turn came first.
StateFetch::Candidates::iterator StateFetch::next_to_ask(Instant now) {
    auto best = candidates_.end();
    const auto rank = [this](const Candidates::iterator& at) {
        return std::pair(at->second.due, mix64(salt_ ^ at->first.prefix64()));
    };
    for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
        const auto& candidate = at->second;
        if (candidate.stage != Stage::Waiting || !candidate.listed || candidate.due > now) continue;
        if (best == candidates_.end() || rank(at) < rank(best)) best = at;
    }
    return best;
}

void StateFetch::ask_around(Instant now) {
    if (complete()) return;
    auto engaged = count(Stage::Asked) + count(Stage::Donor);
    for (; engaged < kDonorsMax; ++engaged) {
        const auto at = next_to_ask(now);
        if (at == candidates_.end()) return;
        at->second.stage = Stage::Asked;
        at->second.due = now + kAnswerTimeout;
        out_.push_back({at->first, FrameType::StateInfoRequest, {}});
    }
}

void StateFetch::handle_info(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    const LayoutHash layout{reader.take_array<32>()};
    const auto step = reader.take<std::uint64_t>();
    const auto ready = reader.take<std::uint8_t>();
    const auto found = candidates_.find(from);
    // Only who was asked may answer. An answer that comes too late is as good as another one.
    if (found == candidates_.end() || found->second.stage == Stage::Donor) return;
    auto& candidate = found->second;
    candidate.stage = Stage::Waiting;
    candidate.silence = kSilenceMin;
    candidate.due = now + kAskAgain;
    const bool good = reader.ok() && layout == layout_ && ready != 0;
    if (!reader.ok() || layout != layout_) candidate.due = now + kSilenceMax;
    if (good && donors() < kDonorsMax) {
        schedule_step_ = std::max(schedule_step_, step);
        candidate.stage = Stage::Donor;
        candidate.due = now;
        candidate.in_flight = 0;
    }
    request_more(now);
    ask_around(now);
}

StateFetch::Candidates::iterator StateFetch::idlest_donor(Instant now) {
    auto idlest = candidates_.end();
    for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
        const auto& donor = at->second;
        if (donor.stage != Stage::Donor || donor.due > now || donor.in_flight >= kPerDonor) {
            continue;
        }
        if (idlest == candidates_.end() || donor.in_flight < idlest->second.in_flight) idlest = at;
    }
    return idlest;
}

void StateFetch::request_more(Instant now) {
    for (std::uint32_t chunk = 0; chunk < have_.size(); ++chunk) {
        if (have_[chunk] || requests_.contains(chunk)) continue;
        const auto donor = idlest_donor(now);
        if (donor == candidates_.end()) return;
        ++donor->second.in_flight;
        requests_[chunk] = Request{donor->first, now + donor->second.patience};
        Bytes payload;
        ByteWriter(payload).put(chunk);
        out_.push_back({donor->first, FrameType::StateRequest, std::move(payload)});
    }
}

void StateFetch::handle_chunk(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    const auto chunk = reader.take<std::uint32_t>();
    const auto status = reader.take<ChunkStatus>();
    if (!reader.ok()) return;
    const auto found = requests_.find(chunk);
    const bool awaited = found != requests_.end() && found->second.donor == from;
    if (!awaited && late_.erase({chunk, from}) == 0) return;
    const auto at = candidates_.find(from);
    if (awaited) {
        requests_.erase(found);
        if (at != candidates_.end() && at->second.in_flight > 0) --at->second.in_flight;
    }
    if (status == ChunkStatus::Busy) {
        if (at != candidates_.end()) {
            at->second.due = now + at->second.pause;
            at->second.pause = std::min(2 * at->second.pause, kBusyPauseMax);
        }
        request_more(now);
        return;
    }
    take(now, chunk, from, reader.take_bytes(reader.remaining()));
}

/// Takes in a chunk that we have asked `from` for.
void StateFetch::take(Instant now, std::uint32_t chunk, const PeerId& from, ByteView bytes) {
    if (have_[chunk]) return;
    if (bytes.size() != parameters_.chunk_bytes(chunk) || !parameters_.write(chunk, bytes)) {
        lose_donor(now, from);
        return;
    }
    have_[chunk] = true;
    ++done_;
    if (const auto at = candidates_.find(from); at != candidates_.end()) {
        at->second.pause = kBusyPause;
    }
    // A late answer came first. The other donor's answer is no longer awaited.
    if (const auto other = requests_.find(chunk); other != requests_.end()) {
        const auto at = candidates_.find(other->second.donor);
        if (at != candidates_.end() && at->second.in_flight > 0) --at->second.in_flight;
        late_.insert({chunk, other->second.donor});
        requests_.erase(other);
    }
    request_more(now);
}

void StateFetch::lose_donor(Instant now, const PeerId& donor) {
    std::erase_if(requests_, [&](const auto& entry) { return entry.second.donor == donor; });
    const auto found = candidates_.find(donor);
    if (found != candidates_.end()) {
        found->second.stage = Stage::Waiting;
        found->second.due = now + kAskAgain;
        found->second.in_flight = 0;
    }
    request_more(now);
    ask_around(now);
}

void StateFetch::handle_broken(Instant now, const PeerId& partner) {
    // What was asked over a stream that broke is never answered.
    std::erase_if(late_, [&](const auto& entry) { return entry.second == partner; });
    const auto found = candidates_.find(partner);
    if (found != candidates_.end() && found->second.stage != Stage::Waiting) {
        lose_donor(now, partner);
    }
}

void StateFetch::handle_timeout(Instant now) {
    if (complete()) return;
    std::set<PeerId> slow;
    for (const auto& [chunk, request] : requests_) {
        if (request.deadline > now) continue;
        slow.insert(request.donor);
        late_.insert({chunk, request.donor});
    }
    for (const auto& donor : slow) {
        // The other requests to this donor are given up with the late one.
        for (const auto& [chunk, request] : requests_) {
            if (request.donor == donor) late_.insert({chunk, donor});
        }
        const auto found = candidates_.find(donor);
        if (found != candidates_.end()) {
            found->second.patience = std::min(2 * found->second.patience, kChunkTimeoutMax);
        }
        lose_donor(now, donor);
    }
    for (auto& [id, candidate] : candidates_) {
        if (candidate.stage != Stage::Asked || candidate.due > now) continue;
        candidate.stage = Stage::Waiting;
        candidate.due = now + candidate.silence;
        candidate.silence = std::min(2 * candidate.silence, kSilenceMax);
    }
    ask_around(now);
    request_more(now);
}

std::optional<Instant> StateFetch::timeout() const {
    if (complete()) return std::nullopt;
    std::optional<Instant> next;
    const auto consider = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
    const bool full = count(Stage::Asked) + count(Stage::Donor) >= kDonorsMax;
    const bool all_asked = done_ + requests_.size() == have_.size();
    for (const auto& [id, candidate] : candidates_) {
        if (candidate.stage == Stage::Asked) consider(candidate.due);
        if (candidate.stage == Stage::Waiting && candidate.listed && !full) consider(candidate.due);
        const bool rests = candidate.stage == Stage::Donor && candidate.in_flight < kPerDonor;
        if (rests && !all_asked) consider(candidate.due);
    }
    for (const auto& [chunk, request] : requests_) consider(request.deadline);
    return next;
}

}  // namespace starling::peer
