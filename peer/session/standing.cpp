#include "peer/session/standing.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace starling::peer {

namespace {

/// What others may have learned since they last said so is no reason to think ourselves ahead of them.
constexpr Duration kOlderMax = std::chrono::seconds(1);

bool counts(const SeenPeer& peer) {
    return peer.trains() && !peer.record->ghost;
}

/// Returns whether a peer says what its model has learned from. Earlier releases do not.
bool says(const Record& record) {
    return record.learned > 0 || record.samples == 0;
}

/// Adds without overflow: a liar may say any number.
std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
    return std::min(std::min(a, kLearnedMax) + std::min(b, kLearnedMax), kLearnedMax);
}

/// Returns how many samples those that count may have trained on since their records were made.
double unheard(const SwarmView& view) {
    double rate = 0.0;
    for (const auto& peer : view.others) {
        if (!counts(peer) || !std::isfinite(peer.record->samples_per_s)) continue;
        rate += std::max(0.0, static_cast<double>(peer.record->samples_per_s));
    }
    return rate * to_seconds(view.records_every + kOlderMax);
}

/// Returns whether the model of one that counts is clearly behind one that has learned so much.
bool is_behind(const Record& record, std::uint64_t learned, double unheard) {
    return says(record) &&
           static_cast<double>(record.learned) + unheard < static_cast<double>(learned);
}

}  // namespace

void Standing::begin(std::uint64_t learned, std::uint64_t samples) {
    // Earlier releases did not keep it.
    learned_ = std::min(std::max(learned, samples), kLearnedMax);
    own_ = samples;
}

void Standing::begin_from_seed(Instant now) {
    begin_from_nothing();
    leads_ = true;
    counts_since_ = now;
}

/// Returns whether a model that has learned from so many samples goes before ours.
bool Standing::better(std::uint64_t learned, const PeerId& id) const {
    return learned > learned_ || (learned == learned_ && id < self_);
}

StandingStep Standing::advance(Instant now, const Inputs& inputs, const SwarmView& view) {
    count_samples(now, inputs, view);
    was_ghost_ = inputs.ghost;
    if (counts_since_ && now - *counts_since_ > kYieldMax) counts_since_.reset();
    const auto step = inputs.whole ? decide(now, inputs, view) : StandingStep::None;
    auto after = inputs;
    if (step != StandingStep::None) after.ghost = step == StandingStep::StandAside;
    note_others(after, view);
    return step;
}

StandingStep Standing::decide(Instant now, const Inputs& inputs, const SwarmView& view) {
    if (inputs.ghost) return advance_ghost(now, view);
    alone_since_.reset();
    best_since_.reset();
    if (!counts_since_) return StandingStep::None;
    // Of records that are older than what their owners know, at most one of two finds the other ahead.
    const double reach = static_cast<double>(learned_) + unheard(view);
    const bool beaten =
        std::any_of(view.others.begin(), view.others.end(), [&](const SeenPeer& peer) {
            return counts(peer) && static_cast<double>(peer.record->learned) > reach;
        });
    if (!beaten) return StandingStep::None;
    counts_since_.reset();
    leads_ = false;
    return StandingStep::StandAside;
}

StandingStep Standing::advance_ghost(Instant now, const SwarmView& view) {
    const auto& others = view.others;
    const double slack = unheard(view);
    const bool nobody = std::none_of(others.begin(), others.end(), counts);
    const bool ahead =
        !nobody && std::none_of(others.begin(), others.end(), [&](const SeenPeer& peer) {
            return counts(peer) && !is_behind(*peer.record, learned_, slack);
        });
    if (!nobody) alone_since_.reset();
    if (nobody && !alone_since_) alone_since_ = now;
    const bool best =
        nobody && std::none_of(others.begin(), others.end(), [this](const SeenPeer& peer) {
            return peer.trains() && better(peer.record->learned, peer.id);
        });
    if (!best) best_since_.reset();
    if (best && !best_since_) best_since_ = now;
    const bool leads = ahead || (best && now - *best_since_ >= kLeadWait) ||
                       (nobody && now - *alone_since_ >= kNobodyMax);
    if (!leads) return StandingStep::None;
    leads_ = true;
    return StandingStep::CountIn;
}

/// Adds what all that count have trained on since the last view. What one that was not here has made
/// meanwhile is not in our model.
void Standing::count_samples(Instant now, const Inputs& inputs, const SwarmView& view) {
    const auto before = std::exchange(counted_, {});
    const std::uint64_t own = inputs.samples > own_ ? inputs.samples - own_ : 0;
    own_ = inputs.samples;
    std::uint64_t most = 0;
    std::uint64_t grown = own;
    for (const auto& peer : view.others) {
        if (!peer.trains()) continue;
        if (inputs.fetching) most = std::max(most, peer.record->learned);
        if (!counts(peer)) continue;
        most = std::max(most, peer.record->learned);
        const auto at = before.find(peer.id);
        counted_.emplace(peer.id, peer.record->samples);
        if (at != before.end() && peer.record->samples > at->second) {
            grown = sum_of(grown, peer.record->samples - at->second);
        }
    }
    if (inputs.fetching) {
        learned_ = most;
        return;
    }
    if (inputs.ghost) {
        if (!was_ghost_) leads_ = false;
    } else if (was_ghost_) {
        counts_since_ = now;
        // Who was promoted has what those have that it has pulled from.
        if (!leads_) learned_ = std::max(learned_, most);
    } else {
        learned_ = sum_of(learned_, grown);
    }
}

void Standing::note_others(const Inputs& inputs, const SwarmView& view) {
    ghosts_.clear();
    shunned_.clear();
    const double slack = unheard(view);
    const bool leads_now = leads_ && was_ghost_;  // from this view on
    const bool young = inputs.ghost || leads_now || counts_since_;
    std::uint64_t best = learned_;
    // Some may not have seen yet that they will give way: who pulled from them would learn what is old.
    for (const auto& peer : view.others) {
        if (inputs.ghost && counts(peer)) best = std::max(best, peer.record->learned);
    }
    for (const auto& peer : view.others) {
        if (!peer.trains()) continue;
        if (peer.record->ghost) {
            ghosts_.push_back(peer.id);
        } else if (young && is_behind(*peer.record, best, slack)) {
            shunned_.push_back(peer.id);
        }
    }
}

}  // namespace starling::peer
