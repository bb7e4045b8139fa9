// From a member that is silent to an accusation: whom we look at again, what we keep to ourselves, and when
// the fault is ours.

#include <algorithm>

#include "base/planted_fault.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Open probes up to which a lost stream is a reason to probe at once.
constexpr std::size_t kOpenMax = 4;
/// False suspicions that the whole swarm may raise in a period.
constexpr double kFalseSuspicions = 0.1;
/// Probes that a member misses in a row before we tell others, at least and at most. The least costs a
/// period for a machine that went dark; one that refuses streams is accused at once.
constexpr int kMissesMin = 2;
constexpr int kMissesMax = 5;
/// Members whose miss is ours to know alone.
constexpr std::size_t kDoubtsMax = 64;
/// Most members whose streams have ended that wait for an extra probe. A member that loses more
/// streams at once has lost its own link, and the round finds the others.
constexpr std::size_t kLostStreamsMax = 16;
/// Probe intervals without a datagram or a page after which we have lost our own link.
constexpr int kDeafAfter = 5;

}  // namespace

/// Probes those of which we know something that we tell nobody yet: they missed a probe, they were silent
/// as helpers, or a stream with them ended.
void Swim::Machine::probe_doubtful(Instant now, std::size_t most) {
    const auto probe = [&](const PeerId& id, bool helper) {
        const auto member = table_.find(id);
        if (!member || !is_up(member->state)) return false;
        const ShortId target(member->id);
        if (cycle_.probes(target)) return false;
        begin_probe(now, target).of_silent_helper = helper;
        return true;
    };
    std::size_t begun = 0;
    std::erase_if(doubts_, [&](const auto& doubt) {
        const auto member = table_.find(doubt.first);
        return !member || !is_up(member->state);
    });
    for (const auto& [id, misses] : doubts_) {
        if (begun < most && probe(id, false)) ++begun;
    }
    for (begun = 0; begun < most && !lost_streams_.empty();) {
        const PeerId id = lost_streams_.front();
        lost_streams_.erase(lost_streams_.begin());
        if (probe(id, false)) ++begun;
    }
    for (begun = 0; begun < most && !silent_helpers_.empty();) {
        const auto* id = table_.id_of(silent_helpers_.back());
        silent_helpers_.pop_back();
        if (id != nullptr && probe(*id, true)) ++begun;
    }
    silent_helpers_.clear();
}

/// A process that dies loses its streams at that moment, and the members at their other ends see
/// that long before the round comes to the dead one.
void Swim::Machine::handle_stream_lost(Instant now, const PeerId& peer) {
    advance(now);
    const auto member = table_.find(peer);
    // Our own id: another process has our key.
    if (left_ || peer == self_ || !member || !is_up(member->state)) return;
    const ShortId target(peer);
    if (cycle_.probes(target)) return;
    // One at once; a link that loses streams all the time gives no more reason than that.
    if (!looked_ && cycle_.open().size() < kOpenMax) {
        looked_ = true;
        begin_probe(now, target).at_once = true;
        arm_ack_wait();
        return;
    }
    const bool waits =
        std::find(lost_streams_.begin(), lost_streams_.end(), peer) != lost_streams_.end();
    if (!waits && lost_streams_.size() < kLostStreamsMax) lost_streams_.push_back(peer);
}

/// Whoever hears nobody at all has lost its own link.
void Swim::Machine::handle_stream_refused(Instant now, const PeerId& peer) {
    advance(now);
    if (left_ || deaf()) return;
    const auto probe = cycle_.refuse(peer);
    const auto member = table_.find(peer);
    if (!probe || !member || member->incarnation != probe->incarnation) return;
    ++counters_.probes_failed;
    doubts_.erase(peer);
    accuse(now, accusation(*member, MemberState::Suspect, self_));
    suspicions_.note_refused(peer);
    arm_on_demand(now);
}

void Swim::Machine::suspect(Instant now, const ProbeCycle::Probe& missed) {
    ++counters_.probes_failed;
    blame(missed);
    const auto member = table_.find(missed.target);
    // What the member said while the probe was open is newer than our verdict.
    if (!member || member->incarnation != missed.incarnation || !is_up(member->state)) {
        doubts_.erase(missed.target);
        return;
    }
    if (planted(PlantedFault::NoSuspicion)) {
        return accuse(now, accusation(*member, MemberState::Failed, self_));
    }
    // One miss is ours to know alone. Where others suspect the member already, it adds to what they say.
    if (member->state == MemberState::Alive) {
        if (doubts_.size() >= kDoubtsMax && !doubts_.contains(missed.target)) return;
        // Two probes may end together. What was heard meanwhile stands between their misses.
        if (missed.heard && doubts_.contains(missed.target)) return;
        // A second probe that has had its direct wait meanwhile has missed that, too.
        const int more = !missed.heard && cycle_.has_asked(missed.target) ? 2 : 1;
        auto& misses = doubts_[missed.target];
        misses += more;
        if (misses < misses_to_tell()) return;
    }
    doubts_.erase(missed.target);
    accuse(now, accusation(*member, MemberState::Suspect, self_));
}

/// Returns how many probes in a row a member has to miss, so that all together suspect hardly anybody who
/// lives. More datagrams get lost, or there are more members: then it takes more.
int Swim::Machine::misses_to_tell() const {
    const double missed = path_loss_.missed(config_.indirect_probes);
    auto wrong = static_cast<double>(table_.count(MemberState::Alive)) * missed;
    int misses = 1;
    for (; misses < kMissesMax && wrong > kFalseSuspicions; ++misses) wrong *= missed;
    return std::max(misses, kMissesMin);
}

/// Members that live are heard about once a period; where most have died, more rarely.
bool Swim::Machine::deaf() const {
    return now_ - heard_at_ > kDeafAfter * config_.probe_interval + round_trip_.usual();
}

/// A helper that said nothing may be dead itself, and only if it is not, its silence was our fault. So it is
/// probed, and what it answers is held against us. But whoever has heard nobody all the time is to blame.
void Swim::Machine::blame(const ProbeCycle::Probe& missed) {
    if (missed.of_silent_helper) return;
    const auto silent = static_cast<std::uint32_t>(missed.silent.size());
    // Nobody could have said anything, or nobody says anything.
    if (missed.asked == 0 || deaf()) {
        return awareness_.add(blame_for_missed_probe(missed.asked, missed.asked - silent));
    }
    for (const auto& helper : missed.silent) {
        const auto member = table_.resolve(helper);
        if (member && member->state == MemberState::Alive && !doubts_.contains(member->id)) {
            silent_helpers_.push_back(helper);
        }
    }
}

}  // namespace starling::membership
