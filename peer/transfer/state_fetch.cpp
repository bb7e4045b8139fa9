#include "peer/transfer/state_fetch.hpp"

#include <algorithm>
#include <utility>

#include "base/rng.hpp"
#include "peer/transfer/state_wire.hpp"

namespace starling::peer {

namespace {

std::vector<std::size_t> sizes_of(const ParameterChunks& parameters) {
    std::vector<std::size_t> sizes(parameters.chunk_count());
    for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] = parameters.chunk_bytes(i);
    return sizes;
}

}  // namespace

StateFetch::StateFetch(
    ParameterChunks& parameters,
    const LayoutHash& layout,
    std::uint64_t salt,
    Outbox& out,
    std::vector<std::uint32_t> kept
)
    : parameters_(parameters),
      layout_(layout),
      salt_(salt),
      out_(out),
      kept_(std::move(kept)),
      pieces_(sizes_of(parameters)),
      check_(pieces_, salt) {}

std::size_t StateFetch::count(Stage stage) const {
    return static_cast<std::size_t>(std::count_if(
        candidates_.begin(),
        candidates_.end(),
        [stage](const auto& entry) { return entry.second.stage == stage; }
    ));
}

/// A spare counts too: whoever came in its place would bring as little.
std::size_t StateFetch::engaged() const {
    return count(Stage::Asked) + count(Stage::Donor) + count(Stage::Spare);
}

std::uint64_t StateFetch::schedule_step() const {
    std::uint64_t furthest = 0;
    for (const auto& [id, candidate] : candidates_) {
        if (candidate.stage == Stage::Barred) continue;
        furthest = std::max(furthest, candidate.step.value_or(0));
    }
    return furthest;
}

std::optional<std::string> StateFetch::poll_note() {
    if (notes_.empty()) return std::nullopt;
    auto note = std::move(notes_.front());
    notes_.pop_front();
    return note;
}

void StateFetch::set_candidates(Instant now, std::span<const PeerId> candidates) {
    for (auto& [id, candidate] : candidates_) candidate.listed = false;
    for (const auto& id : candidates) {
        const auto [at, added] = candidates_.try_emplace(id);
        at->second.listed = true;
        if (added) at->second.due = now;
    }
    // A donor that is no longer listed may still answer. Its stream or its deadlines decide. What one
    // has said of the schedule stays known.
    std::erase_if(candidates_, [](const auto& entry) {
        const auto& candidate = entry.second;
        return !candidate.listed && candidate.stage == Stage::Waiting && !candidate.step;
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
    if (settled_) return;
    for (auto asked = engaged(); asked < kDonorsMax; ++asked) {
        const auto at = next_to_ask(now);
        if (at == candidates_.end()) return;
        at->second.stage = Stage::Asked;
        at->second.asked_at = now;
        at->second.due = now + kAnswerTimeout;
        out_.push_back({at->first, FrameType::StateInfoRequest, {}});
    }
}

void StateFetch::handle_info(Instant now, const PeerId& from, ByteView payload) {
    ByteReader reader(payload);
    const LayoutHash layout{reader.take_array<32>()};
    const auto step = reader.take<std::uint64_t>();
    const auto ready = reader.take<std::uint8_t>();
    const bool sound = reader.ok();
    const auto can = reader.remaining() > 0 ? reader.take<std::uint8_t>() : std::uint8_t{0};
    const auto found = candidates_.find(from);
    // Only who was asked may answer. An answer that comes too late is as good as another one.
    if (found == candidates_.end()) return;
    auto& candidate = found->second;
    if (candidate.stage != Stage::Waiting && candidate.stage != Stage::Asked) return;
    // If it was asked before and kept silent, this may answer the earlier question.
    const bool first = candidate.stage == Stage::Asked && candidate.silence == kSilenceMin;
    if (first) candidate.pace.round_trip(now - candidate.asked_at);
    candidate.stage = Stage::Waiting;
    candidate.silence = kSilenceMin;
    candidate.due = now + kAskAgain;
    const bool good = sound && layout == layout_ && ready != 0;
    if (!sound || layout != layout_) candidate.due = now + kSilenceMax;
    if (good && engaged() < kDonorsMax) {
        candidate.step = step;
        candidate.stage = Stage::Donor;
        candidate.gives_pieces = (can & kGivesPieces) != 0;
        candidate.due = now;
        trial_.changed(now);
        // Now there is somebody to compare them with.
        adopt_kept(now);
    }
    request_more(now);
    ask_around(now);
}

void StateFetch::lose_donor(Instant now, const PeerId& donor) {
    const auto found = candidates_.find(donor);
    if (found != candidates_.end()) {
        auto& candidate = found->second;
        give_up_all(donor, candidate);
        if (candidate.stage != Stage::Barred) candidate.stage = Stage::Waiting;
        candidate.due = now + kAskAgain;
        trial_.changed(now);
    }
    recall_spares(now);
    request_more(now);
    ask_around(now);
}

void StateFetch::recall_spares(Instant now) {
    for (auto& [id, candidate] : candidates_) {
        if (candidate.stage != Stage::Spare) continue;
        candidate.stage = Stage::Donor;
        candidate.due = now;
    }
}

void StateFetch::handle_broken(Instant now, const PeerId& partner) {
    const auto found = candidates_.find(partner);
    if (found != candidates_.end() && found->second.stage != Stage::Waiting) {
        lose_donor(now, partner);
    }
    // What was asked over a stream that broke is hardly ever answered, so we ask anew at once. It
    // may be answered over another stream of the two that a pair sometimes has.
    for (auto& [key, late] : late_) {
        if (key.first != partner) continue;
        late.asked_at = std::min(late.asked_at, now - DonorPace::kPatienceMax);
    }
    request_more(now);
}

void StateFetch::handle_timeout(Instant now) {
    if (settled_) return;
    std::vector<PeerId> silent;
    for (auto& [id, candidate] : candidates_) {
        if (const auto at = deadline(candidate); at && *at <= now) silent.push_back(id);
        if (candidate.stage != Stage::Asked || candidate.due > now) continue;
        candidate.stage = Stage::Waiting;
        candidate.due = now + candidate.silence;
        candidate.silence = std::min(2 * candidate.silence, kSilenceMax);
    }
    for (const auto& donor : silent) lose_donor(now, donor);
    ask_around(now);
    try_donors(now);
    request_more(now);
}

std::optional<Instant> StateFetch::timeout() const {
    if (settled_) return std::nullopt;
    std::optional<Instant> next;
    const auto consider = [&next](Instant at) { next = next ? std::min(*next, at) : at; };
    const bool full = engaged() >= kDonorsMax;
    for (const auto& [id, candidate] : candidates_) {
        if (candidate.stage == Stage::Asked) consider(candidate.due);
        if (candidate.stage == Stage::Waiting && candidate.listed && !full) consider(candidate.due);
        if (const auto at = deadline(candidate)) consider(*at);
    }
    // What was over when we last looked for something to request has been considered then.
    const auto consider_later = [&](Instant at) {
        if (at > requested_at_) consider(at);
    };
    for (const auto& [id, candidate] : candidates_) {
        const bool gives = candidate.stage == Stage::Donor || candidate.stage == Stage::Spare;
        if (gives) consider_later(candidate.due);
    }
    if (!pieces_.any_free()) return next;
    if (donors() > 1 || count(Stage::Spare) > 0) consider_later(trial_.timeout());
    // Chunks wait for a donor whose late answer may come.
    for (const auto& [key, late] : late_) {
        if (const auto until = may_answer_until(key.first, key.second)) consider_later(*until);
    }
    return next;
}

}  // namespace starling::peer
