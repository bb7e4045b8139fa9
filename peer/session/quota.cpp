#include "peer/session/quota.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace starling::peer {

namespace {

/// Far above what any swarm trains on, and exact in a double.
constexpr double kTargetMax = 9007199254740992.0;  // 2^53
/// No swarm takes as many turns. Who says so does not share.
constexpr std::uint32_t kTurnsMax = std::uint32_t{1} << 31U;

std::optional<std::uint64_t> target_of(const Until& until, std::uint64_t batch) {
    if (until.kind != UntilKind::Samples) return std::nullopt;
    return static_cast<std::uint64_t>(std::min(until.value, kTargetMax)) / batch * batch;
}

/// Returns what the ids of all that share are combined from, in any order.
std::uint32_t check_of(const PeerId& id) {
    const auto prefix = id.prefix64();
    return static_cast<std::uint32_t>(prefix ^ (prefix >> 32U));
}

bool has_claim(const Record& record) {
    return record.state == PeerState::Training && record.claim.turn > 0 &&
           record.claim.turn < kTurnsMax;
}

std::uint64_t unused(const Record& record) {
    return record.claim.samples - std::min(record.claim.samples, record.samples);
}

}  // namespace

Quota::Quota(const Until& until, std::uint32_t batch)
    : target_(target_of(until, batch)),
      batch_(batch) {
    if (target_) limit_ = 0;
}

bool Quota::update(Instant now, const Inputs& inputs, const SwarmView& view) {
    if (!target_) return false;
    const auto before = *limit_;
    if (inputs.obeyed) {
        limit_ = std::max(*limit_, inputs.own);
        claim_.samples = *limit_;
    }
    hear(now, view);
    const auto others = sharers(now, inputs, view);
    claim_.sharers = others.check;
    claim_.turn = std::max(claim_.turn, std::uint32_t{1});
    if (!inputs.shares) {
        claim_.turn = std::max(claim_.turn, others.last_turn);
        rests_ = false;
        limit_ = std::min(*limit_, inputs.own);
        return *limit_ != before;
    }
    // Who takes no part in turns does not hold up the others. It claims nothing in those it skips.
    if (others.last_turn > claim_.turn + 1) claim_.turn = others.last_turn - 1;
    const auto left = batches(*target_ - std::min(*target_, inputs.own + inputs.others));
    // A faster peer wants more, so that all come to the end together.
    std::uint64_t wanted = inputs.trains && left > 0 ? left / others.count + 1 : 0;
    if (wanted > 0 && others.rate > 0.0 && left > 2 * others.count) {
        const double part = inputs.own_rate / others.rate;
        wanted = static_cast<std::uint64_t>(std::ceil(static_cast<double>(left) * part));
    }
    const auto have = batches(*limit_ - std::min(*limit_, inputs.own));
    if (!rests_ || have > 0) turn_at_ = now;
    rests_ = have == 0 && wanted > 0;
    const bool late = rests_ && now - turn_at_ > kTurnMax;
    if (have > (wanted == 0 ? 0 : wanted + wanted / 2 + 1)) {
        limit_ = inputs.own + wanted * batch_;
    } else if (others.all_here || late) {
        if (late) turn_at_ = now;
        const bool short_of = inputs.obeyed && 4 * have < 3 * wanted;
        take_turn(inputs, others, short_of ? wanted - have : 0);
    }
    return *limit_ != before;
}

/// Enters the next turn, if we want something that is left or another peer has entered it already.
void Quota::take_turn(const Inputs& inputs, const Sharers& others, std::uint64_t wanted) {
    const auto claimed = claim_.samples + inputs.others + others.claimed;
    const auto unclaimed = batches(*target_ - std::min(*target_, claimed));
    if ((wanted == 0 || unclaimed == 0) && others.last_turn <= claim_.turn) return;
    ++claim_.turn;
    // The last few batches go to another peer in each turn: perhaps the first cannot use them.
    const auto rank = (others.before_us + claim_.turn) % others.count;
    const auto ours = unclaimed / others.count + (rank < unclaimed % others.count ? 1 : 0);
    *limit_ += std::min(wanted, ours) * batch_;
    claim_.samples = std::max(claim_.samples, *limit_);
}

/// Notes who has said something new. Both lists are in order of id.
void Quota::hear(Instant now, const SwarmView& view) {
    records_every_ = view.records_every;
    std::vector<Word> words;
    auto known = words_.begin();
    for (const auto& peer : view.others) {
        Word word{peer.id, 0, {}, now};
        // An unsigned word shows that the peer goes on, and decides nothing else.
        if (const auto& said = peer.newest()) word = {peer.id, said->samples, said->claim, now};
        while (known != words_.end() && known->id < peer.id) ++known;
        const bool same = known != words_.end() && known->id == peer.id &&
                          known->samples == word.samples && known->claim == word.claim;
        if (same) word.since = known->since;
        words.push_back(word);
    }
    words_ = std::move(words);
}

/// Returns whether a peer holds a claim that it seems not to use, while we have none left. Of a peer
/// that has said nothing at all yet, it returns whether it never will.
bool Quota::gave_up(const Word& word, const SeenPeer& peer, Instant now) const {
    auto patience = kPatience;
    if (peer.record) {
        // It tells us its counters only now and then.
        patience = std::max<Duration>(patience, kUnheard * records_every_);
        if (!rests_ || unused(*peer.record) < batch_) return false;
        const auto rate = static_cast<double>(peer.record->samples_per_s);
        const double steps = rate > 0.0 ? 4.0 * static_cast<double>(batch_) / rate : 0.0;
        patience = std::max(patience, from_seconds(std::min(steps, 3600.0)));
    }
    return now - word.since > patience;
}

Quota::Sharers Quota::sharers(Instant now, const Inputs& inputs, const SwarmView& view) const {
    Sharers all;
    all.check = check_of(inputs.self);
    std::vector<const Record*> records;
    bool known = inputs.own_rate > 0.0;
    all.rate = inputs.own_rate;
    for (std::size_t i = 0; i < view.others.size(); ++i) {
        const auto& peer = view.others[i];
        if (!peer.live() || gave_up(words_[i], peer, now)) continue;
        if (!peer.record) all.all_here = false;
        if (!peer.record || !has_claim(*peer.record)) continue;
        const auto& record = *peer.record;
        all.claimed += unused(record);
        if (record.shards == 0) continue;  // its trainer rests, or is about to
        records.push_back(&record);
        all.check ^= check_of(peer.id);
        all.last_turn = std::max(all.last_turn, record.claim.turn);
        if (peer.id < inputs.self) ++all.before_us;
        known = known && record.samples_per_s > 0.0F;
        all.rate += static_cast<double>(record.samples_per_s);
    }
    all.count += records.size();
    if (!known || !std::isfinite(all.rate)) all.rate = 0.0;
    all.all_here =
        all.all_here && std::all_of(records.begin(), records.end(), [&](const Record* record) {
            return record->claim.turn >= claim_.turn && record->claim.sharers == all.check;
        });
    return all;
}

}  // namespace starling::peer
