// What time asks for: probes, gossip, full exchanges, verdicts, forgetting.

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "base/check.hpp"
#include "base/planted_fault.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Push/pull becomes rarer above this size, as in memberlist: its cost grows with n squared.
constexpr double kPushPullScaleFrom = 32.0;
/// Requests that the driver has not taken yet; more would only repeat them.
constexpr std::size_t kStreamsMax = 8;
/// So many members hear of a newcomer from itself: 64 datagrams, once.
constexpr std::size_t kAnnouncedMax = 64;
/// Largest table that probes carry to a member whose UDP is blocked: 64 members make some 6 KB.
constexpr std::size_t kTableByStreamMax = 64;
/// Tables above this size are compared before anything is told: then 64 digests weigh less than the
/// members of a slice or two.
constexpr std::size_t kCompareAbove = 64;
/// Tombstones and the departed are swept this many times in a tombstone's life.
constexpr int kSweepsPerLife = 10;
/// While all digests agree, one of so many full exchanges takes place.
constexpr int kCalmPushPulls = 24;
/// Slices of a large table that one of these refreshes.
constexpr std::size_t kRefreshedSlices = 8;
/// Gossip ticks come so many times as often while there is more to tell than fits one datagram.
constexpr int kCrowdedTicks = 4;
/// Share of a period, in per cent, after which a probe that has asked its helpers gets company; periods
/// are up to a tenth shorter than their mean.
constexpr int kOverdueAfter = 80;
/// Extra probes of each kind in one period, besides that of the round.
constexpr std::size_t kLooksMax = 3;
/// The same where no datagrams get lost: then those that are silent are dead, and there may be many.
constexpr std::size_t kLooksMaxCalm = 8;
/// Above this share of direct probes that get lost although the member lives, nobody probes more because
/// of what others suspect: it would be about the links, and cost the links more.
constexpr double kLossyShare = 0.05;
/// Lost members that hear a datagram in one attempt to find them again.
constexpr std::size_t kRejoinPings = 8;
/// A stream is tried once in so many attempts: datagrams may be blocked.
constexpr int kRejoinStreams = 4;
/// Probes of the round in one period while a crash is being confirmed.
constexpr std::size_t kAlertProbes = 3;
constexpr std::size_t kAlertProbesMax = 16;
constexpr std::size_t kDisaster = 2;

bool is_alive(MemberState state) {
    return state == MemberState::Alive;
}

bool is_accused(MemberState state) {
    return is_accusation(state);
}

/// Failed members keep hearing gossip: one that lives after all learns of its failure and refutes.
bool hears_gossip(MemberState state) {
    return state != MemberState::Left;
}

}  // namespace

void Swim::Machine::handle_timeout(Instant now) {
    advance(now);
    const auto due = poll_timeout();
    if (!due || *due > now) return;
    if (now - *due > config_.probe_interval) wake_up(now);
    for (std::size_t i = 0; i < kTimers; ++i) {
        if (timers_[i] > now) continue;
        const auto timer = static_cast<Timer>(i);
        disarm(timer);
        fire(timer, now);
    }
    arm_on_demand(now);
}

void Swim::Machine::wake_up(Instant now) {
    // We slept (a stopped process, a suspended laptop): acks and refutations may still wait in the
    // socket, so neither the open probe nor a suspicion that ran out meanwhile proves anything.
    cycle_.drop();
    disarm(Timer::AckWait);
    awareness_.add(1);
    was_deaf_ = true;
    suspicions_.postpone(now + bounds_of(table_.size()).min);
    disarm(Timer::Suspicion);
}

void Swim::Machine::fire(Timer timer, Instant now) {
    switch (timer) {
        case Timer::Period:
            return on_period(now);
        case Timer::AckWait:
            return on_ack_wait(now);
        case Timer::Nack:
            return on_nack(now);
        case Timer::Gossip:
            return on_gossip(now);
        case Timer::PushPull:
            return on_push_pull(now);
        case Timer::Rejoin:
            return on_rejoin(now);
        case Timer::Suspicion:
            return on_suspicion(now);
        case Timer::Tell:
            return on_tell(now);
        case Timer::Sweep:
            return on_sweep(now);
    }
    STARLING_UNREACHABLE("timer");
}

void Swim::Machine::arm_on_demand(Instant now) {
    const auto next = suspicions_.next_deadline();
    if (next && !left_) {
        arm(Timer::Suspicion, *next);
    } else {
        disarm(Timer::Suspicion);
    }
    arm(Timer::Nack, relays_.next_nack().value_or(Instant::max()));
    if (!armed(Timer::Gossip) && !rumours_.empty() && listeners() > 0) {
        const double wait = timing_rng_.uniform() * to_seconds(config_.gossip_interval);
        arm(Timer::Gossip, now + from_seconds(wait));
    }
    const bool gone = table_.up_count() < table_.size() || !departed_.all().empty();
    if (gone && !armed(Timer::Sweep))
        arm(Timer::Sweep, now + config_.tombstone_life / kSweepsPerLife);
}

void Swim::Machine::on_period(Instant now) {
    relays_.expire(now);
    for (const auto& missed : cycle_.finish(now)) suspect(now, missed);
    looked_ = false;
    was_deaf_ = was_deaf_ || deaf();
    come_back(now);
    if (!quiet_until_) {
        begin_probes(now);
        ask_unproven(now);
        compare_tables();
    }
    arm(Timer::Period, now + awareness_.scale(jittered(config_.probe_interval)));
}

void Swim::Machine::compare_tables() {
    const auto peer = agreement_.ask_again();
    if (!peer) return;
    const auto member = table_.find(*peer);
    if (!member || !is_up(member->state)) return;
    // An extra ping outside the probe cycle: its ack brings the digest.
    const Message ping[] = {Ping{probe_id_rng_.next(), member->id}};
    send(member->address, member->id, ping);
}

/// The round goes on whatever else there is to probe, and goes faster while a crash is being
/// confirmed, because crashes rarely come alone. At one probe a period, in one disaster of ten the
/// last of three crashed members would be probed first after some four periods.
void Swim::Machine::begin_probes(Instant now) {
    const bool calm = path_loss_.share() < kLossyShare;
    for (std::size_t looks = 0; looks < (calm ? kLooksMaxCalm : kLooksMax); ++looks) {
        const auto urgent = take_urgent();
        if (!urgent) break;
        begin_probe(now, *urgent);
    }
    // Where an answer may take longer than a period, the second probe does not wait for the end of the first.
    for (const auto& id :
         cycle_.overdue(now - kOverdueAfter * config_.probe_interval / 100, kLooksMax)) {
        begin_probe(now, id);
    }
    probe_doubtful(now, calm ? kLooksMaxCalm : kLooksMax);
    std::optional<Member> target;
    const auto probeable = [&](const ShortId& id) {
        target = table_.resolve(id);
        return target && is_up(target->state);
    };
    const auto dropped = [&](const ShortId& id) { (void)table_.set_in_round(id, false); };
    // Several that are silent at once where nothing gets lost are a disaster, too.
    const auto silent = doubts_.size() >= kDisaster ? 2 * doubts_.size() : 0;
    const auto crashes = calm ? std::max(suspicions_.confirmed(), silent) : 0;
    const auto probes = crashes == 0 ? 1 : std::clamp(crashes, kAlertProbes, kAlertProbesMax);
    for (std::size_t i = 0; i < probes; ++i) {
        const auto next = order_.next(probeable, dropped);
        if (next && !cycle_.probes(*next)) begin_probe(now, *next);
    }
    arm_ack_wait();
}

/// Of several members that fell silent at once, the one with the fewest accusers comes first: a
/// suspicion without confirmations lasts suspicion_max_mult times as long.
std::optional<ShortId> Swim::Machine::take_urgent() {
    std::erase_if(urgent_, [&](const PeerId& id) { return !suspicions_.wants(id, self_); });
    if (urgent_.empty()) return std::nullopt;
    const auto fewest =
        std::min_element(urgent_.begin(), urgent_.end(), [&](const PeerId& a, const PeerId& b) {
            return suspicions_.wants(a, self_) < suspicions_.wants(b, self_);
        });
    const ShortId chosen(*fewest);
    urgent_.erase(fewest);
    return chosen;
}

void Swim::Machine::ask_helpers(const ProbeCycle::Probe& probe) {
    // One more than needed, because the target itself may be drawn.
    auto helpers = sample(config_.indirect_probes + 1, is_alive);
    std::erase_if(helpers, [&](const Member& helper) { return helper.id == probe.target; });
    if (helpers.size() > config_.indirect_probes) helpers.resize(config_.indirect_probes);
    std::vector<ShortId> asked;
    for (const auto& helper : helpers) asked.emplace_back(helper.id);
    cycle_.set_helpers(probe.id, std::move(asked));
    // Perhaps it has forgotten us, and cannot open what we send.
    table_.set_hearing(probe.target, MemberTable::Hearing::Doubted);
    ask_over_stream(probe.target);
    for (const auto& helper : helpers) {
        const Message request[] = {PingRequest{probe.id, probe.target}};
        send(helper.address, helper.id, request);
    }
}

void Swim::Machine::ask_over_stream(const PeerId& peer) {
    const auto member = table_.find(peer);
    if (!member) return;
    // Rumours do not reach a member whose UDP is blocked, so in a swarm where that is cheap it gets
    // the table instead of a bare question.
    const bool blocked = !member->udp_out || !member->udp_in;
    const auto kind = blocked && table_.size() <= kTableByStreamMax ? StreamRequest::Kind::PushPull
                                                                    : StreamRequest::Kind::Ping;
    request_stream({peer, member->address, kind});
}

void Swim::Machine::on_nack(Instant now) {
    while (const auto relay = relays_.take_nack(now)) {
        const Message nack[] = {Nack{relay->probe}};
        send(relay->asker, std::nullopt, nack);
    }
}

void Swim::Machine::handle_send_error(Instant now, const Endpoint& to) {
    advance(now);
    // memberlist ended the probe without suspicion here until 0.3.0, so a local firewall silenced
    // the detector. The direct probe is lost; helpers get all the time that is left.
    for (const auto& probe : cycle_.open()) {
        const auto target = table_.find(probe.target);
        if (!target || target->address != to) continue;
        if (const auto unasked = cycle_.ask_helpers(target->id)) ask_helpers(*unasked);
        break;
    }
    arm_ack_wait();
    arm_on_demand(now);
}

void Swim::Machine::on_gossip(Instant now) {
    if (rumours_.empty()) return;
    for (const auto& member : sample(config_.gossip_fanout, is_alive)) {
        // An earlier target of this tick may have taken the last rumour to its limit.
        if (rumours_.empty()) break;
        send(member.address, member.id, {});
    }
    if (planted(PlantedFault::NoHealing)) return;
    // It hears what we hold against it, and no rumours: they would be spent on the dead.
    for (const auto& member : sample(1, is_accused)) send(member.address, member.id, {});
    if (!rumours_.empty() && listeners() > 0) {
        const auto wait = config_.gossip_interval / (rumours_.crowded() ? kCrowdedTicks : 1);
        arm(Timer::Gossip, now + jittered(wait));
    }
}

/// A rumour takes some rounds, and now and then it misses a member until a digest shows that. So a
/// newcomer, and a member that leaves, tells all members itself; in a large swarm it tells some of
/// them, which spread the news.
void Swim::Machine::announce() {
    const Message own[] = {own_claim_};
    for (const auto& member : sample(kAnnouncedMax, hears_gossip)) {
        send(member.address, member.id, own);
    }
}

void Swim::Machine::on_push_pull(Instant now) {
    // The digest in every ack shows a table that differs. While none does, only records can differ,
    // and their rumours hardly ever miss anybody.
    if (agreement_.calm() && ++calm_push_pulls_ < kCalmPushPulls) {
        arm(Timer::PushPull, now + jittered(scaled_for_size(config_.push_pull_interval)));
        return;
    }
    calm_push_pulls_ = 0;
    for (const auto& member : sample(1, is_alive)) {
        if (agreement_.calm()) {
            refresh(member);
        } else {
            request_exchange(member.id, member.address);
        }
    }
    arm(Timer::PushPull, now + jittered(scaled_for_size(config_.push_pull_interval)));
}

/// Asks for what digests do not show: records whose rumour has missed us.
void Swim::Machine::refresh(const Member& member) {
    StreamRequest request{member.id, member.address};
    if (table_.size() > kCompareAbove) {
        request.kind = StreamRequest::Kind::Compare;
        const auto first = target_rng_.below(kSlices / kRefreshedSlices) * kRefreshedSlices;
        request.refresh = ((Slices{1} << kRefreshedSlices) - 1) << first;
        compared_ = member.id;
    }
    request_stream(request);
}

void Swim::Machine::on_rejoin(Instant now) {
    if (lost_.empty() || left_ || planted(PlantedFault::NoHealing)) return;
    for (const auto& lost : lost_.due(now, config_.probe_interval, kRejoinPings)) {
        const Message ping[] = {Ping{probe_id_rng_.next(), lost.id}};
        send(lost.address, lost.id, ping);
        if (rejoins_++ % kRejoinStreams == 0) request_exchange(lost.id, lost.address);
    }
    const auto wait = lost_.next_due(now, config_.probe_interval) - now;
    arm(Timer::Rejoin, now + jittered(wait, 0.25));
}

/// A cut has healed, or a member is back: what both sides know is exchanged at once.
void Swim::Machine::on_lost_heard(Instant now, const PeerId& peer, const Endpoint& from) {
    if (left_ || !lost_.heard(peer, now, config_.probe_interval)) return;
    const auto member = table_.find(peer);
    request_exchange(peer, member ? member->address : from);
}

void Swim::Machine::on_suspicion(Instant now) {
    while (const auto id = suspicions_.take_expired(now)) {
        const auto member = table_.find(*id);
        if (member) apply(now, accusation(*member, MemberState::Failed, self_), Source::Rumour);
    }
}

void Swim::Machine::on_sweep(Instant now) {
    for (const auto& member : table_.forget(now, config_.tombstone_life, self_)) {
        departed_.add(now, member);
        records_.owner_gone(member.id);
    }
    departed_.expire(now, kDepartedLifeFactor * config_.tombstone_life);
}

void Swim::Machine::request_stream(const StreamRequest& request) {
    streams_.push_back(request);
    if (streams_.size() > kStreamsMax) streams_.pop_front();
}

void Swim::Machine::request_exchange(const PeerId& peer, const Endpoint& to) {
    if (table_.size() <= kCompareAbove) {
        request_stream({peer, to});
        return;
    }
    compared_ = peer;
    request_stream({peer, to, StreamRequest::Kind::Compare});
}

std::vector<Member> Swim::Machine::sample(std::size_t count, bool (*wanted)(MemberState)) {
    std::vector<Member> chosen;
    const auto consider = [&](std::size_t index) {
        if (chosen.size() >= count || !wanted(table_.state_at(index))) return;
        const Member member = table_.at(index);
        const bool again = std::any_of(chosen.begin(), chosen.end(), [&](const Member& other) {
            return other.id == member.id;
        });
        if (member.id != self_ && !again) chosen.push_back(member);
    };
    const auto size = table_.size();
    // A few draws nearly always suffice; a table full of tombstones needs the full scan below.
    for (std::size_t i = 0; i < 4 * count + 4 && chosen.size() < count; ++i) {
        consider(static_cast<std::size_t>(target_rng_.below(size)));
    }
    if (chosen.size() == count) return chosen;
    const auto start = static_cast<std::size_t>(target_rng_.below(size));
    for (std::size_t i = 0; i < size && chosen.size() < count; ++i) consider((start + i) % size);
    return chosen;
}

Duration Swim::Machine::jittered(Duration period, double spread) {
    return from_seconds(to_seconds(period) * (1.0 + spread * (2.0 * timing_rng_.uniform() - 1.0)));
}

Duration Swim::Machine::scaled_for_size(Duration period) const {
    const auto n = static_cast<double>(table_.up_count());
    if (n <= kPushPullScaleFrom) return period;
    return period * (static_cast<int>(std::ceil(std::log2(n / kPushPullScaleFrom))) + 1);
}

std::size_t Swim::Machine::listeners() const {
    const auto hearing = table_.up_count() + table_.count(MemberState::Failed);
    return left_ ? hearing : hearing - 1;
}

}  // namespace starling::membership
