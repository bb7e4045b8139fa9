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

/// Returns until when a donor may still answer a request for this chunk that we have given up, if
/// there is one. Asking it anew before would only bring the chunk twice.
std::optional<Instant> StateFetch::may_answer_until(
    std::uint32_t chunk, const Candidates::value_type& donor
) const {
    const auto late = late_.find({chunk, donor.first});
    if (late == late_.end()) return std::nullopt;
    return late->second + donor.second.patience;
}

StateFetch::Candidates::iterator StateFetch::idlest_donor(Instant now, std::uint32_t chunk) {
    auto idlest = candidates_.end();
    for (auto at = candidates_.begin(); at != candidates_.end(); ++at) {
        const auto& donor = at->second;
        if (donor.stage != Stage::Donor || donor.due > now || donor.in_flight >= kPerDonor) {
            continue;
        }
        if (idlest != candidates_.end() && donor.in_flight >= idlest->second.in_flight) continue;
        if (const auto until = may_answer_until(chunk, *at); until && *until > now) continue;
        idlest = at;
    }
    return idlest;
}

void StateFetch::request_more(Instant now) {
    requested_at_ = now;
    for (std::uint32_t chunk = 0; chunk < have_.size(); ++chunk) {
        if (have_[chunk] || requests_.contains(chunk)) continue;
        const auto donor = idlest_donor(now, chunk);
        if (donor == candidates_.end()) continue;
        ++donor->second.in_flight;
        requests_[chunk] = Request{donor->first, now, now + donor->second.patience};
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
    const auto late = late_.find({chunk, from});
    if (!awaited && late == late_.end()) return;
    const Instant asked_at = awaited ? found->second.asked_at : late->second;
    const auto at = candidates_.find(from);
    if (awaited) {
        requests_.erase(found);
        if (at != candidates_.end() && at->second.in_flight > 0) --at->second.in_flight;
    } else {
        late_.erase(late);
    }
    if (at != candidates_.end()) {
        at->second.heard_at = now;
        at->second.patience = std::clamp(2 * (now - asked_at), kChunkTimeout, kChunkTimeoutMax);
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
    if (requests_.contains(chunk)) give_up(chunk);
    request_more(now);
}

/// Stops waiting for a chunk. Its answer is still welcome.
void StateFetch::give_up(std::uint32_t chunk) {
    const auto request = requests_.find(chunk);
    late_.insert_or_assign({chunk, request->second.donor}, request->second.asked_at);
    const auto at = candidates_.find(request->second.donor);
    if (at != candidates_.end() && at->second.in_flight > 0) --at->second.in_flight;
    requests_.erase(request);
}

void StateFetch::lose_donor(Instant now, const PeerId& donor) {
    std::vector<std::uint32_t> asked;
    for (const auto& [chunk, request] : requests_) {
        if (request.donor == donor) asked.push_back(chunk);
    }
    for (const auto chunk : asked) give_up(chunk);
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
    const auto found = candidates_.find(partner);
    const bool engaged = found != candidates_.end() && found->second.stage != Stage::Waiting;
    if (engaged) lose_donor(now, partner);
    // What was asked over a stream that broke is hardly ever answered, so we ask anew at once. It
    // may be answered over another stream of the two that a pair sometimes has.
    for (auto& [late, asked_at] : late_) {
        if (late.second == partner) asked_at = std::min(asked_at, now - kChunkTimeoutMax);
    }
    request_more(now);
}

void StateFetch::handle_timeout(Instant now) {
    if (complete()) return;
    std::vector<std::uint32_t> late;
    std::set<PeerId> silent;
    for (const auto& [chunk, request] : requests_) {
        if (request.deadline > now) continue;
        late.push_back(chunk);
        const auto at = candidates_.find(request.donor);
        if (at != candidates_.end() && at->second.heard_at < request.asked_at) {
            silent.insert(request.donor);
        }
    }
    for (const auto chunk : late) give_up(chunk);
    for (const auto& donor : silent) lose_donor(now, donor);
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
    for (const auto& [id, candidate] : candidates_) {
        if (candidate.stage == Stage::Asked) consider(candidate.due);
        if (candidate.stage == Stage::Waiting && candidate.listed && !full) consider(candidate.due);
    }
    for (const auto& [chunk, request] : requests_) consider(request.deadline);
    if (done_ + requests_.size() == have_.size()) return next;
    // Chunks wait for a donor that rests, or whose late answer may come. What was over when we last
    // looked for something to request has been considered then.
    const auto consider_later = [&](Instant at) {
        if (at > requested_at_) consider(at);
    };
    for (const auto& [id, candidate] : candidates_) {
        if (candidate.stage == Stage::Donor) consider_later(candidate.due);
    }
    for (const auto& [late, asked_at] : late_) {
        const auto at = candidates_.find(late.second);
        if (at != candidates_.end()) consider_later(asked_at + at->second.patience);
    }
    return next;
}

}  // namespace starling::peer
