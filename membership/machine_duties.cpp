// What time asks for: probes, gossip, full exchanges, verdicts, forgetting.

#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <utility>

#include "base/check.hpp"
#include "membership/codec.hpp"
#include "membership/machine.hpp"

namespace starling::membership {

namespace {

/// Push/pull becomes rarer above this size, as in memberlist: its cost grows with n squared.
constexpr double kPushPullScaleFrom = 32.0;
/// Requests that the driver has not taken yet; more would only repeat them.
constexpr std::size_t kStreamsMax = 8;
/// Largest table that probes carry to a member whose UDP is blocked: 64 members make some 6 KB.
constexpr std::size_t kTableByStreamMax = 64;
/// Tombstones and ghosts are swept this many times in a tombstone's life.
constexpr int kSweepsPerLife = 10;

bool is_alive(MemberState state) {
    return state == MemberState::Alive;
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
    suspicions_.postpone(now + suspicion_timeout(config_, table_.size()));
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
    const bool gone = table_.up_count() < table_.size() || !ghosts_.all().empty();
    if (gone && !armed(Timer::Sweep))
        arm(Timer::Sweep, now + config_.tombstone_life / kSweepsPerLife);
}

void Swim::Machine::on_period(Instant now) {
    relays_.expire(now);
    disarm(Timer::AckWait);
    if (const auto missed = cycle_.finish()) suspect(now, *missed);
    begin_probe(now);
    compare_tables();
    arm(Timer::Period, now + awareness_.scale(jittered(config_.probe_interval)));
}

void Swim::Machine::compare_tables() {
    const auto peer = agreement_.ask_again();
    if (!peer) return;
    const Member* member = table_.find(*peer);
    if (member == nullptr || !is_up(member->state)) return;
    const Member asked = *member;
    // An extra ping outside the probe cycle: its ack brings the digest.
    send(asked.address, &asked.id, {Ping{probe_id_rng_.next(), asked.id}});
}

void Swim::Machine::begin_probe(Instant now) {
    const auto target = order_.next([this](const PeerId& id) {
        const Member* member = table_.find(id);
        return member != nullptr && is_up(member->state);
    });
    if (!target) return;
    const Member member = *table_.find(*target);
    const auto id = probe_id_rng_.next();
    ++counters_.probes;
    cycle_.begin({id, member.id, member.incarnation, false, now, 0, 0});
    const auto wait = round_trip_.timeout(config_.probe_timeout_min, config_.probe_timeout);
    arm(Timer::AckWait, now + awareness_.scale(wait));
    send(member.address, &member.id, {Ping{id, member.id}});
}

void Swim::Machine::suspect(Instant now, const ProbeCycle::Probe& missed) {
    ++counters_.probes_failed;
    awareness_.add(blame_for_missed_probe(missed.helpers, missed.nacks));
    const Member* member = table_.find(missed.target);
    // What it said while the probe was open is newer than our verdict.
    if (member == nullptr || member->incarnation != missed.incarnation) return;
    Statement claim = statement_of(*member);
    claim.state = MemberState::Suspect;
    claim.accuser = self_;
    accuse(now, claim);
}

void Swim::Machine::on_ack_wait(Instant /*now*/) {
    ask_helpers();
}

void Swim::Machine::ask_helpers() {
    const auto probe = cycle_.ask_helpers();
    if (!probe) return;
    disarm(Timer::AckWait);
    // One more than needed, because the target itself may be drawn.
    auto helpers = sample(config_.indirect_probes + 1, is_alive);
    std::erase_if(helpers, [&](const Member& helper) { return helper.id == probe->target; });
    if (helpers.size() > config_.indirect_probes) helpers.resize(config_.indirect_probes);
    cycle_.set_helpers(helpers.size());
    ask_over_stream(probe->target);
    for (const auto& helper : helpers) {
        send(helper.address, &helper.id, {PingRequest{probe->id, probe->target}});
    }
}

void Swim::Machine::ask_over_stream(const PeerId& peer) {
    const Member* member = table_.find(peer);
    if (member == nullptr) return;
    // Rumours do not reach a member whose UDP is blocked, so in a swarm where that is cheap it gets
    // the table instead of a bare question.
    const bool blocked = !member->udp_out || !member->udp_in;
    const auto kind = blocked && table_.size() <= kTableByStreamMax ? StreamRequest::Kind::PushPull
                                                                    : StreamRequest::Kind::Ping;
    request_stream({peer, member->address, kind});
}

void Swim::Machine::on_nack(Instant now) {
    while (const auto relay = relays_.take_nack(now)) {
        send(relay->asker, nullptr, {Nack{relay->probe}});
    }
}

void Swim::Machine::handle_send_error(Instant now, const Endpoint& to) {
    advance(now);
    // memberlist ended the probe without suspicion here until 0.3.0, so a local firewall silenced
    // the detector. The direct probe is lost; helpers get all the time that is left.
    const auto& probe = cycle_.open();
    if (!probe) return;
    const Member* target = table_.find(probe->target);
    if (target != nullptr && target->address == to) ask_helpers();
    arm_on_demand(now);
}

void Swim::Machine::on_gossip(Instant now) {
    if (rumours_.empty()) return;
    for (const auto& member : sample(config_.gossip_fanout, hears_gossip)) {
        // An earlier target of this tick may have taken the last rumour to its limit.
        if (rumours_.empty()) break;
        send(member.address, &member.id, {});
    }
    if (!rumours_.empty() && listeners() > 0) {
        arm(Timer::Gossip, now + jittered(config_.gossip_interval));
    }
}

void Swim::Machine::on_push_pull(Instant now) {
    for (const auto& member : sample(1, is_alive)) request_stream({member.id, member.address});
    arm(Timer::PushPull, now + jittered(scaled_for_size(config_.push_pull_interval)));
}

void Swim::Machine::on_rejoin(Instant now) {
    if (lost_.empty() || left_) return;
    const auto [peer, address] = lost_.pick(target_rng_);
    request_stream({peer, address});
    const auto wait = scaled_for_size(lost_.retry_after(now, config_.probe_interval));
    arm(Timer::Rejoin, now + jittered(wait, 0.25));
}

void Swim::Machine::on_suspicion(Instant now) {
    while (const auto id = suspicions_.take_expired(now)) {
        const Member* member = table_.find(*id);
        if (member == nullptr) continue;
        Statement claim = statement_of(*member);
        claim.state = MemberState::Failed;
        apply(now, claim, Source::Rumour);
    }
}

void Swim::Machine::on_sweep(Instant now) {
    for (const auto& member : table_.forget(now, config_.tombstone_life, self_)) {
        ghosts_.add(now, member);
        records_.owner_gone(member.id);
    }
    ghosts_.expire(now, kGhostLifeFactor * config_.tombstone_life);
}

void Swim::Machine::request_stream(const StreamRequest& request) {
    streams_.push_back(request);
    if (streams_.size() > kStreamsMax) streams_.pop_front();
}

std::vector<Member> Swim::Machine::sample(std::size_t count, bool (*wanted)(MemberState)) {
    const auto& members = table_.members();
    std::vector<Member> chosen;
    std::unordered_set<std::size_t> seen;
    const auto consider = [&](std::size_t index) {
        const Member& member = members[index];
        if (chosen.size() >= count || member.id == self_ || !wanted(member.state)) return;
        if (seen.insert(index).second) chosen.push_back(member);
    };
    // A few draws nearly always suffice; a table full of tombstones needs the full scan below.
    for (std::size_t i = 0; i < 4 * count + 4 && chosen.size() < count; ++i) {
        consider(static_cast<std::size_t>(target_rng_.below(members.size())));
    }
    if (chosen.size() == count) return chosen;
    const auto start = static_cast<std::size_t>(target_rng_.below(members.size()));
    for (std::size_t i = 0; i < members.size(); ++i) consider((start + i) % members.size());
    return chosen;
}

void Swim::Machine::send(const Endpoint& to, const PeerId* peer, std::vector<Message> messages) {
    if (peer != nullptr) {
        if (auto accusation = accusation_of(*peer)) messages.push_back(std::move(*accusation));
    }
    const bool probing = std::any_of(messages.begin(), messages.end(), [](const Message& m) {
        return std::holds_alternative<Ping>(m) || std::holds_alternative<Ack>(m) ||
               std::holds_alternative<Nack>(m);
    });
    if (probing && !left_) messages.emplace_back(TableDigest{table_.digest()});
    std::size_t used = kPacketOverhead;
    for (const auto& message : messages) used += wire_size(message);
    rumours_.fill(messages, kDatagramMax - used, transmit_limit(table_.up_count()));
    if (messages.empty()) return;
    Datagram datagram{to, encode({self_, std::move(messages)}, config_.swarm_tag, kDatagramMax)};
    ++counters_.datagrams_sent;
    counters_.bytes_sent += datagram.bytes.size();
    transmits_.push_back(std::move(datagram));
}

std::optional<Message> Swim::Machine::accusation_of(const PeerId& peer) const {
    if (const Member* member = table_.find(peer)) {
        const bool accused =
            member->state == MemberState::Suspect || member->state == MemberState::Failed;
        return accused ? std::optional<Message>(statement_of(*member)) : std::nullopt;
    }
    const auto* ghost = ghosts_.find(peer);
    if (ghost == nullptr) return Forgotten{peer, {}};
    if (ghost->verdict.state != MemberState::Failed) return std::nullopt;
    return Forgotten{peer, ghost->verdict.incarnation};
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
